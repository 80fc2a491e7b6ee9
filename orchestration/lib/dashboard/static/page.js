// The frame: pages, choices, the definition of a metric, and drawing it all again when something was chosen.

function applyTheme() {
  if (state.theme === "auto") document.documentElement.removeAttribute("data-theme");
  else document.documentElement.setAttribute("data-theme", state.theme);
}

function select(word, value, options, onchange) {
  const id = "choose-" + word.replaceAll(".", "-");
  const chosen = options.flatMap((one) => one.options || [one]).find(([key]) => key === value);
  const element = h("select", { id, title: chosen && chosen[1].length > 30 ? chosen[1] : null, onchange: (event) => onchange(event.target.value) });
  const one = ([key, text]) => h("option", { value: key, selected: key === value }, text);
  for (const option of options) element.append(option.group ? h("optgroup", { label: option.group }, option.options.map(one)) : one(option));
  return h("div.field", null, h("label", { for: id }, t(word)), element);
}

function choose(change) {
  Object.assign(state, change);
  window.history.replaceState(null, "", window.location.pathname + window.location.search + hash());
  draw();
}

function periodOptions() {
  const last = CALENDAR.lastComplete("M"), complete = last + 1, options = [];
  const offer = (id, word) => { if (periodOf(id)) options.push([id, t(word)]); };
  offer("m1", complete ? "period.m1" : "period.now");
  if (complete && CALENDAR.M.length > complete) offer("now", "period.now");
  for (const n of [3, 6, 12]) if (complete >= n) offer("m" + n, "period.m" + n);
  offer("all", "period.all");
  const found = [...options];
  if (CALENDAR.lastComplete("W") >= 0) {
    found.push({ group: t("weeks"), options: [["w1", t("period.w1")], ...(CALENDAR.lastComplete("W") >= 3 ? [["w4", t("period.w4")]] : []), ...(CALENDAR.lastComplete("W") >= 12 ? [["w13", t("period.w13")]] : [])] });
  }
  const quarters = CALENDAR.M.map((one) => [one, `q:${one.slice(0, 4)}-${Math.ceil(Number(one.slice(5, 7)) / 3)}`]).filter(([one, id]) => "01 04 07 10".includes(one.slice(5, 7)) && periodOf(id));
  if (quarters.length) found.push({ group: t("quarters"), options: quarters.reverse().map(([one, id]) => [id, t("quarter", { n: id.slice(-1), year: one.slice(0, 4) })]) });
  found.push({ group: t("months"), options: [...CALENDAR.M].reverse().map((one) => ["m:" + one.slice(0, 7), month(one)]) });
  return found;
}

function drawFilters() {
  const box = document.getElementById("filters");
  box.replaceChildren();
  if (!Object.keys(DATA.series).length || !DATA.months.length) return;
  const choices = filterChoices(), options = [["", t("everything")]];
  for (const [dim, values] of [...choices.entries()].sort()) options.push({ group: dimension(dim), options: [...values].sort().map((value) => [dim + ":" + value, member(value === "null" ? null : value)]) });
  const chosen = state.filter ? state.filter.dim + ":" + state.filter.value : "";
  const fields = [
    select("period", state.period, periodOptions(), (value) => choose({ period: value })),
    select("against", state.against, [["previous", t("against.previous")], ["year", t("against.year")]], (value) => choose({ against: value })),
    select("trend.by", state.grain, [["M", t("months")], ["W", t("weeks")]], (value) => choose({ grain: value })),
  ];
  if (options.length > 1) fields.push(select("only", chosen, options, (value) => choose({ filter: value ? { dim: value.slice(0, value.indexOf(":")), value: value.slice(value.indexOf(":") + 1) } : null })));
  const form = h("form.filters", { "aria-label": t("filters"), onsubmit: (event) => event.preventDefault() }, fields);
  box.append(form);
}

function drawFrame() {
  document.documentElement.lang = state.language === "zh" ? "zh-Hans" : state.language;
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = t(element.dataset.word);
  document.title = `${t("page." + DATA.page)} · ${t("brand")} · ${day(DATA.through)}`;
  const nav = document.getElementById("nav");
  nav.setAttribute("aria-label", t("pages"));
  nav.replaceChildren(h("ul", null, DATA.pages.map((name) => h("li", null, h("a", { href: name + ".html" + hash(), "aria-current": name === DATA.page ? "page" : null }, t("page." + name))))));
  const list = nav.firstChild, here = nav.querySelector("[aria-current]");
  if (here) list.scrollLeft = here.offsetLeft - list.offsetLeft; // on a telephone the pages stand in one line
  document.getElementById("tools").replaceChildren(
    select("language", state.language, DATA.languages.map((one) => [one, { en: "English", nl: "Nederlands", de: "Deutsch", it: "Italiano", zh: "中文" }[one]]), (value) => { memory.set("language", value); choose({ language: value }); drawFrame(); drawFilters(); }),
    select("theme", state.theme, [["auto", t("theme.auto")], ["light", t("theme.light")], ["dark", t("theme.dark")]], (value) => { memory.set("theme", value); state.theme = value; applyTheme(); draw(); }),
    h("button.quiet", { type: "button", onclick: printPage }, t("print")));
  document.getElementById("through").replaceChildren(t("data.through", { day: day(DATA.through) }));
  const notices = document.getElementById("notices");
  notices.replaceChildren();
  if (DATA.stale.length && DATA.page !== "data-health") {
    notices.append(h("p.notice.stale", null, t("notice.stale", { feeds: DATA.stale.map((one) => one.feed).join(", ") }) + " ", h("a", { href: "data-health.html" + hash() }, t("page.data-health"))));
  }
  if (DATA.isThinned) notices.append(h("p.soft", null, t("thinned")));
  document.getElementById("foot").replaceChildren(h("p", null, t("foot", { release: DATA.release, instant: instant(DATA.publishedAt) })));
}

// Paper is light: the charts are drawn for it, and all of them.
function printPage() {
  const theme = state.theme;
  state.theme = "light";
  applyTheme();
  draw();
  drawAll().then(() => {
    window.print();
    state.theme = theme;
    applyTheme();
    draw();
  });
}

// When a number is final: its own window, and the days that are left to rows that come late.
function maturity(own) {
  if (own.startsWith("never") || !DATA.lateDays) return own;
  const late = t("late.rows", { n: number(DATA.lateDays) });
  return own === "none" ? late : `${own} + ${late}`;
}

function openDefinition(metric, told) {
  const one = DATA.metrics[metric], unit = one.unit, rows = [];
  const row = (word, ...value) => rows.push(h("dt", null, t(word)), h("dd", null, value));
  if (told && told.value !== null && told.value !== undefined) {
    row("value", h("strong", null, inUnit(told.value, unit)), ` · ${[periodName(told.period), told.span ? spanName(told) : null, ...apart(told.series).filter(([key]) => key === "window_days" || key === "scale_id").map(([key, value]) => apartName(key, value))].filter(Boolean).join(" · ")}`);
    const later = lapsesLater(metric, told.series, lastDay(told.period));
    if (later) row("note", later);
    const parts = [told.numerator === null ? null : `${one.parts[0]} = ${precise(told.numerator)}`, told.denominator === null ? null : `${one.denominator.join(" + ") || t("denominator")} = ${precise(told.denominator)}`];
    row("parts", ...parts.filter(Boolean).map((text) => h("code", null, text)));
    if (told.low !== null && told.low !== undefined) row("interval.95", `${inUnit(told.low, unit)} – ${inUnit(told.high, unit)}`);
    if (told.n !== null) row("observations", number(told.n));
    row("state", told.isFinal ? t("final") : t("provisional.until", { day: day(told.finalOn) }), told.isStale ? " · " + t("stale.since", { day: day(one.data_through) }) : "");
    const held = heldAgainst(metric, told.period);
    if (held.target) row("target", `${inUnit(held.target.value, unit)} · ${t("since", { day: day(held.target.from) })}`);
    if (held.industry) row("others", `${inUnit(held.industry.value, unit)} · ${held.industry.industry} · ${held.industry.source}`);
  }
  row("formula", h("code", null, one.formula));
  row("time", one.time_window);
  row("matures", maturity(one.matures));
  row("direction", t("direction." + one.direction));
  row("feeds", one.feeds.join(", ").replaceAll("|", " / "));
  row("version", t("version.from", { n: one.version, day: day(one.valid_from) }) + ` · ${one.owner.replaceAll("_", " ")}`);
  row("ask", h("code", null, `from marts.metric('${metric}', '${told && told.series.o ? told.series.o : "month"}')`));
  const dialog = h("dialog", { "aria-labelledby": "definition-title" },
    h("h2", { id: "definition-title" }, label(metric)), h("p", { lang: "en" }, one.description), h("dl", null, rows),
    h("form", { method: "dialog" }, h("button.quiet", { type: "submit" }, t("close"))));
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  document.body.append(dialog);
  dialog.showModal();
}

function draw() {
  forgetDrawings();
  for (const link of document.querySelectorAll("#nav a")) link.href = link.getAttribute("href").split("#")[0] + hash();
  const box = document.getElementById("blocks"), at = window.scrollY;
  box.style.minHeight = box.offsetHeight + "px"; // so that the page does not jump while it is drawn anew
  box.replaceChildren(...DATA.blocks.map(section));
  box.style.minHeight = "";
  window.scrollTo(0, at);
}

readHash();
applyTheme();
drawFrame();
drawFilters();
draw();
document.documentElement.dataset.ready = "yes";
window.addEventListener("load", drawNext); // Vega comes after this script
window.addEventListener("hashchange", () => { readHash(); drawFrame(); drawFilters(); draw(); });
window.addEventListener("beforeprint", () => { drawAll(); });
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (state.theme === "auto") draw(); });
