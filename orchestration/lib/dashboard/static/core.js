// What everything else stands on: the page's data, its state, words, and elements whose text is never markup.

const DATA = JSON.parse(document.getElementById("data").textContent);
const LOCALES = { en: "en-GB", nl: "nl-NL", de: "de-DE", it: "it-IT", zh: "zh-CN" };

// The browser may refuse storage to files; the page then forgets, and works.
const memory = {
  get(key) { try { return window.localStorage.getItem("cx." + key); } catch (error) { return null; } },
  set(key, value) { try { window.localStorage.setItem("cx." + key, value); } catch (error) { /* nothing to do */ } },
};

const state = {
  language: DATA.languages.includes(memory.get("language")) ? memory.get("language")
    : DATA.languages.find((one) => (navigator.language || "en").toLowerCase().startsWith(one)) || "en",
  theme: ["light", "dark"].includes(memory.get("theme")) ? memory.get("theme") : "auto",
  period: "m1", against: "previous", grain: DATA.months.length > 8 ? "M" : "W", filter: null,
};

function readHash() {
  const asked = new URLSearchParams(window.location.hash.slice(1));
  if (asked.get("lang") && DATA.languages.includes(asked.get("lang"))) state.language = asked.get("lang");
  if (["light", "dark", "auto"].includes(asked.get("theme"))) state.theme = asked.get("theme");
  if (asked.get("period")) state.period = asked.get("period");
  if (["previous", "year"].includes(asked.get("against"))) state.against = asked.get("against");
  if (["M", "W"].includes(asked.get("by"))) state.grain = asked.get("by");
  const at = (asked.get("only") || "").indexOf(":");
  state.filter = at > 0 ? { dim: asked.get("only").slice(0, at), value: asked.get("only").slice(at + 1) } : null;
}

// What other pages are opened with, so that a choice holds for all of them.
function hash() {
  const said = new URLSearchParams();
  if (state.period !== "m1") said.set("period", state.period);
  if (state.against !== "previous") said.set("against", state.against);
  if (state.grain !== (DATA.months.length > 8 ? "M" : "W")) said.set("by", state.grain);
  if (state.filter) said.set("only", state.filter.dim + ":" + state.filter.value);
  return String(said) ? "#" + said : "";
}

function has(key) { return Object.prototype.hasOwnProperty.call(WORDS.en, key); }

// A word in the reader's language; {name} is filled in. An unknown key shows itself: tests look for that. Of one thing, its n
// is 1, a word may have another form: `<key>.one`.
function t(key, filled) {
  if (filled && String(filled.n) === "1" && has(key + ".one")) key += ".one";
  const text = WORDS[state.language][key] ?? WORDS.en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (filled && name in filled ? String(filled[name]) : whole));
}

// h("p.note", {title: "..."}, "text", element, ...): text becomes text nodes, so that no value is ever read as markup.
function h(what, attributes, ...children) {
  const [tag, ...classes] = what.split(".");
  const element = document.createElement(tag || "div");
  if (classes.length) element.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(3)) if (child !== null && child !== undefined && child !== false) element.append(child);
  return element;
}

function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Names and ids keep their own direction of writing.
function bdi(text) { return h("bdi", null, text); }

// A name that the layout may cut short: all of it is its title.
function shortened(text) { return h("bdi.name", { title: text }, text); }

function label(metric) {
  const one = DATA.metrics[metric] || (DATA.names || {})[metric];
  return one ? one.labels[state.language] || one.labels.en : metric;
}

function dimension(name) { return has("dim." + name) ? t("dim." + name) : name.replaceAll("_", " "); }

function member(value) {
  if (value === null || value === undefined || value === "") return t("none");
  return has("value." + value) ? t("value." + value) : String(value);
}

// What a value of a dimension is that is never pooled: a scale, a window of days, a currency.
function apartName(name, value) {
  const scale = /^\S+ (\d+)-(\d+) high_is_(good|bad)/.exec(name === "scale_id" ? value : "");
  if (scale) return t(scale[3] === "good" ? "scale" : "scale.bad", { low: scale[1], high: scale[2] });
  if (name === "window_days") return t("within.days", { n: value });
  return member(value);
}

function rowsOf(block) {
  if (!block.rows) return [];
  return block.rows.rows.map((row) => Object.fromEntries(block.rows.columns.map((name, n) => [name, row[n]])));
}
