/** `<host-door>`: who are you, and which show: signing in, then creating a show or going on with one's own. */
import { asRefusal } from "../client.js";
import { field, h, show } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { t } from "../ui/i18n.js";

/** Fires `chosen` {stream} when the host has a show to run. */
class HostDoor extends HTMLElement {
  connectedCallback() {
    this.note = h("refusal-note", { testid: "door-refusal" });
    this.body = h("div", { class: "door-body" });
    this.replaceChildren(
      h("section", { class: "door" }, h("span", { class: "door-icon" }, icon("camera")), h("h1", {}, t("studio.welcome")), this.body, this.note),
    );
  }

  open({ api, session }) {
    Object.assign(this, { api, session });
    show(this, true);
    if (session.signedIn) this.#chooseShow();
    else this.#signIn();
  }

  #form(onsubmit, ...children) {
    return h("form", { onsubmit: (e) => (e.preventDefault(), this.#doing(e.target, onsubmit)) }, ...children);
  }

  async #doing(form, act) {
    const buttons = form.querySelectorAll("button");
    this.note.clear();
    for (const button of buttons) button.disabled = true;
    try {
      await act();
    } catch (error) {
      const refusal = asRefusal(error);
      if (refusal.status === 401) this.session.forget();
      this.note.refuse(refusal);
    } finally {
      for (const button of buttons) button.disabled = false;
    }
  }

  #signIn() {
    const name = h("input", { testid: "studio-name", type: "text", maxlength: "40", required: true, autocomplete: "nickname", placeholder: t("studio.name.example") });
    const token = h("textarea", { testid: "studio-token", rows: 2, autocomplete: "off", spellcheck: "false" });
    const guest = async () => {
      await this.session.guest(name.value.trim());
      this.#chooseShow();
    };
    const adopt = async () => {
      this.session.adopt(token.value.trim());
      this.#chooseShow();
    };
    this.body.replaceChildren(
      this.#form(guest, field(t("studio.name"), name), h("button", { class: "primary", testid: "studio-sign-in", type: "submit" }, t("studio.sign-in"))),
      h(
        "details",
        {},
        h("summary", {}, t("studio.have-token")),
        this.#form(adopt, field(t("studio.token"), token, t("studio.token.hint")), h("button", { type: "submit", testid: "studio-use-token" }, t("studio.use-token"))),
      ),
    );
    name.focus();
  }

  async #chooseShow() {
    const title = h("input", { testid: "studio-title", type: "text", maxlength: "120", required: true, autocomplete: "off", placeholder: t("studio.title.example") });
    const own = h("ul", { class: "own-shows" });
    const create = async () => this.#chosen(await this.api.post("/api/v1/streams", { title: title.value.trim() }));
    this.body.replaceChildren(
      h("p", { class: "door-hello", testid: "studio-user" }, t("studio.hello", { name: this.session.user.name }), " ", this.#other()),
      this.#form(create, field(t("studio.title"), title), h("button", { class: "primary", testid: "create-stream", type: "submit" }, icon("plus"), t("studio.create"))),
      own,
    );
    title.focus();
    await this.#listOwn(own);
  }

  #other() {
    const leave = () => {
      this.session.forget();
      this.#signIn();
    };
    return h("button", { class: "quiet small", type: "button", testid: "studio-sign-out", onclick: leave }, t("studio.sign-out"));
  }

  async #listOwn(list) {
    try {
      const { items } = await this.api.list("/api/v1/streams", { limit: 100, pages: 3 });
      const mine = items.filter((stream) => stream.host.id === this.session.user.id && stream.state !== "ended");
      list.replaceChildren(
        ...mine.map((stream) =>
          h(
            "li",
            {},
            h("button", { type: "button", testid: "continue-stream", onclick: () => this.#chosen(stream) }, t("studio.continue", { title: stream.title })),
            h("span", { class: "pill" }, t(`state.${stream.state}`)),
          ),
        ),
      );
    } catch (error) {
      this.note.refuse(error);
    }
  }

  #chosen(stream) {
    show(this, false);
    this.dispatchEvent(new CustomEvent("chosen", { detail: { stream } }));
  }
}

customElements.define("host-door", HostDoor);
