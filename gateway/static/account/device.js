/** Notifications on this device: their state, the other devices that are notified, and the installation of the page. */

import { remove, stateOf, subscriptions, turnOff, turnOn } from "../device/push.js";
import { View, errorText, fill, h } from "../shared/dom.js";
import { formatShort } from "../shared/format.js";
import { canInstall, install } from "../shared/install.js";
import { pushReport } from "../shared/storage.js";
import { t } from "../shared/words.js";
import { deviceName } from "./sessions.js";

const CHANGEABLE = ["off", "open", "on"];

/** Properties: `store`. */
class Device extends View {
  render() {
    this.state = h("p", { role: "status" });
    this.buttons = h("div.row");
    this.problem = h("p.problem", { role: "alert" });
    this.devices = h("div");
    const title = h("h2", { tabindex: "-1" }, t("device.title"));
    fill(this, h("section.sheet", {}, title, this.state, this.buttons, this.problem, this.devices));
    this.#show();
  }

  #show() {
    const state = stateOf(this.store.me.id);
    this.state.textContent = t(`device.state.${state}`);
    const isOn = state !== "off";
    const change = () => this.#run(() => (isOn ? turnOff : turnOn)(this.store.bell));
    const ask = () => this.#run(install);
    fill(
      this.buttons,
      CHANGEABLE.includes(state) && this.#button(isOn ? "button" : "button.primary", t(isOn ? "device.turn-off" : "device.turn-on"), change),
      canInstall() && this.#button("button", t("device.install"), ask),
    );
    this.buttons.hidden = !this.buttons.childElementCount;
    return this.#showDevices();
  }

  #button(selector, text, onclick) {
    return h(selector, { type: "button", onclick }, text);
  }

  /** Run an action of a button, and show how things are then. */
  async #run(action) {
    this.problem.textContent = "";
    for (const button of this.querySelectorAll("button")) button.disabled = true;
    try {
      await action();
    } catch (error) {
      this.problem.textContent = errorText(error);
    }
    if (!this.isConnected) return;
    await this.#show();
    (this.buttons.querySelector("button") ?? this.querySelector("h2")).focus();
  }

  async #showDevices() {
    const items = await subscriptions(this.store.bell).catch(() => []);
    const title = t("device.all");
    const list = h("ul.rows", { "aria-label": title }, items.map((item) => this.#row(item)));
    fill(this.devices, items.length > 0 && [h("h3", {}, title), list]);
  }

  #row(item) {
    const name = deviceName(item.label);
    const since = h("small", {}, t("sessions.created", { time: formatShort(item.created_at) }));
    const onclick = () => this.#run(() => remove(this.store.bell, item));
    const props = { type: "button", onclick, "aria-label": t("device.remove-one", { name }) };
    const isThis = item.endpoint === pushReport.read()?.endpoint;
    const end = isThis ? h("strong", {}, t("device.this-one")) : h("button", props, t("device.remove"));
    return h("li", {}, h("div.grow", {}, h("span.title", {}, name), since), end);
  }
}

customElements.define("bw-device", Device);
