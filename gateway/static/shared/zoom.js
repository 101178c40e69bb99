/** Zooming and moving a picture within its frame: by the wheel, two fingers, two taps and keys. */

const MAX_SCALE = 8;
const DOUBLE_TAP_MS = 300;
const DOUBLE_TAP_SCALE = 2.5;
const STEP_PX = 80;
const TAP_WITHIN_PX = 10;

export class Zoom {
  #pointers = new Map(); // pointerId -> {x, y}
  #tappedAt = 0;

  /** `frame` has the picture. `onswipe(dx)` is called after a drag of one that is as large as its frame. */
  constructor(frame, { onswipe }) {
    this.frame = frame;
    this.onswipe = onswipe;
    this.listening = new AbortController();
    const { signal } = this.listening;
    const listen = (name, run, options) => frame.addEventListener(name, run, { signal, ...options });
    listen("wheel", (event) => this.#onWheel(event), { passive: false });
    listen("pointerdown", (event) => this.#onDown(event));
    listen("pointermove", (event) => this.#onMove(event));
    for (const name of ["pointerup", "pointercancel"]) listen(name, (event) => this.#onUp(event));
  }

  end() {
    this.listening.abort();
  }

  /** Begin with another picture. */
  use(image) {
    this.image = image;
    this.reset();
  }

  reset() {
    Object.assign(this, { scale: 1, x: 0, y: 0 });
    this.#apply();
  }

  /** Zoom, so that the point at `x` and `y` from the middle of the frame stays where it is. */
  by(factor, x = 0, y = 0) {
    const before = this.scale;
    this.scale = Math.min(MAX_SCALE, Math.max(1, before * factor));
    const change = this.scale / before;
    this.x = x - (x - this.x) * change;
    this.y = y - (y - this.y) * change;
    this.#apply();
  }

  /** Move the picture by steps. */
  move(dx, dy) {
    this.x += dx * STEP_PX;
    this.y += dy * STEP_PX;
    this.#apply();
  }

  #apply() {
    const { image, frame, scale } = this;
    const room = (size, framed) => Math.max(0, (size * scale - framed) / 2);
    const within = (value, most) => Math.min(most, Math.max(-most, value));
    this.x = within(this.x, room(image.offsetWidth, frame.clientWidth));
    this.y = within(this.y, room(image.offsetHeight, frame.clientHeight));
    Object.assign(image.style, { translate: [this.x, this.y].map((at) => `${at}px`).join(" "), scale: String(scale) });
    frame.classList.toggle("zoomed", scale > 1);
  }

  #placeOf({ clientX, clientY }) {
    const { left, top, width, height } = this.frame.getBoundingClientRect();
    return { x: clientX - left - width / 2, y: clientY - top - height / 2 };
  }

  #onWheel(event) {
    event.preventDefault(); // a pinch on a touchpad is a wheel, too
    const { x, y } = this.#placeOf(event);
    const pixels = event.deltaY * (event.deltaMode ? 16 : 1);
    this.by(Math.exp(-Math.max(-100, Math.min(100, pixels)) * (event.ctrlKey ? 0.01 : 0.003)), x, y);
  }

  #onDown(event) {
    if (event.button) return;
    this.frame.setPointerCapture(event.pointerId);
    const place = this.#placeOf(event);
    this.#pointers.set(event.pointerId, place);
    if (this.#pointers.size === 1) this.start = place;
    else this.start = null; // two fingers are no swipe
  }

  #onMove(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const place = this.#placeOf(event);
    const [other] = [...this.#pointers].filter(([id]) => id !== event.pointerId).map(([, point]) => point);
    this.#pointers.set(event.pointerId, place);
    if (other) {
      const distance = (point) => Math.hypot(point.x - other.x, point.y - other.y) || 1;
      this.by(distance(place) / distance(before), (place.x + other.x) / 2, (place.y + other.y) / 2);
    }
    const share = other ? 2 : 1; // two fingers that move together are two moves
    this.x += (place.x - before.x) / share;
    this.y += (place.y - before.y) / share;
    this.#apply();
  }

  #onUp(event) {
    const place = this.#pointers.get(event.pointerId);
    this.#pointers.delete(event.pointerId);
    if (!place || !this.start || this.#pointers.size) return;
    const [dx, dy] = [place.x - this.start.x, place.y - this.start.y];
    if (Math.hypot(dx, dy) < TAP_WITHIN_PX) this.#onTap(event, place);
    else if (this.scale === 1 && event.type === "pointerup" && Math.abs(dx) > 2 * Math.abs(dy)) this.onswipe(dx);
  }

  #onTap({ timeStamp }, { x, y }) {
    const isDouble = timeStamp - this.#tappedAt < DOUBLE_TAP_MS;
    this.#tappedAt = isDouble ? 0 : timeStamp;
    if (!isDouble) return;
    if (this.scale > 1) this.reset();
    else this.by(DOUBLE_TAP_SCALE, x, y);
  }
}
