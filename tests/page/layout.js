/** What is wrong with the layout of what is in front of the page: a list of texts. `least`: the size of a target, in px. */
({ least }) => {
  const front = [...document.querySelectorAll("dialog[open], [popover]")].at(-1) ?? document.body;
  const scrolling = ".places, .tabs, .table, .reactions, pre"; // may be wider than the page: they scroll
  const isShown = (element) => {
    const { width, height } = element.getBoundingClientRect();
    const isVisible = element.checkVisibility({ visibilityProperty: true, opacityProperty: true });
    return isVisible && width > 1 && height > 1 && !element.closest(".hidden, .skip");
  };
  const name = (element) => {
    const label = element.ariaLabel || element.textContent.trim().slice(0, 30) || element.name || "";
    return `${element.localName}.${element.className} “${label}”`;
  };
  /** A checkbox in a label is as large as the label. */
  const boxOf = (element) => (element.matches("input") && element.closest("label") ? element.closest("label") : element).getBoundingClientRect();
  const targets = [...front.querySelectorAll("button, a[href], input, select, textarea, summary, [role=option]")].filter(isShown);
  const isInText = (element) => getComputedStyle(element).display === "inline" || element.closest(".text");
  const wrong = [];
  for (const target of targets) {
    const { width, height, left, right } = boxOf(target);
    if (!isInText(target) && (width < least - 0.5 || height < least - 0.5))
      wrong.push(`small: ${name(target)} ${Math.round(width)}×${Math.round(height)}`);
    if (!target.closest(scrolling) && (left < -1 || right > innerWidth + 1)) wrong.push(`outside: ${name(target)}`);
  }
  const parts = [document.documentElement, ...document.querySelectorAll("main, .view, bw-conversations, bw-chat, .bar, dialog[open], [popover], .column, .sheet, .card, bw-composer form")];
  for (const part of parts) {
    if (part.checkVisibility() && part.scrollWidth > part.clientWidth + 1 && !part.matches(scrolling))
      wrong.push(`wide: ${name(part)} ${part.scrollWidth} > ${part.clientWidth}`);
  }
  const floating = ".to-end, .to-unread, .tools, .news, .rail .badge, .skip, bw-messages, .toast, .bar";
  const still = targets.filter((target) => !target.closest(floating)).map((target) => [target, seenOf(target)]);
  /** The part of an element that its scroller shows. */
  function seenOf(target) {
    const [box, frame] = [target, target.closest(".scroll, .found, .people, .mentions, dialog, [popover], .view") ?? document.body].map((e) => e.getBoundingClientRect());
    return {
      left: Math.max(box.left, frame.left),
      right: Math.min(box.right, frame.right),
      top: Math.max(box.top, frame.top),
      bottom: Math.min(box.bottom, frame.bottom),
    };
  }
  still.forEach(([one, a], n) => {
    for (const [other, b] of still.slice(n + 1)) {
      if (one.contains(other) || other.contains(one)) continue;
      const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (width > 2 && height > 2) wrong.push(`overlap: ${name(one)} and ${name(other)}`);
    }
  });
  return wrong;
};
