/** `<language-switch>`: the languages there are; choosing one saves it. */
import { h } from "../ui/dom.js";
import { LANGUAGES, currentLanguage, switchLanguage, t } from "../ui/i18n.js";

class LanguageSwitch extends HTMLElement {
  connectedCallback() {
    if (this.firstChild) return;
    const options = LANGUAGES.map((code) =>
      h("option", { value: code, lang: code, selected: code === currentLanguage() }, code.toUpperCase()),
    );
    this.append(
      h("select", { aria: { label: t("language") }, testid: "language", onchange: (e) => switchLanguage(e.target.value) }, options),
    );
  }
}

customElements.define("language-switch", LanguageSwitch);
