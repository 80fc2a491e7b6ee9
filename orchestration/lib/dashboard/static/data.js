// Values of metrics over periods. Parts are summed and divided once; what does not add up is taken in its own period.
// The intervals are those of dbt_project/macros/intervals.sql.

const DAY = 86400000;
const SUMMED = ["additive", "ratio", "mean"];
function asDate(iso) { return new Date(iso + "T00:00:00Z"); }
function iso(date) { return date.toISOString().slice(0, 10); }

const CALENDAR = {
  M: DATA.months, W: DATA.weeks,
  end(grain, n) {
    const first = asDate(this[grain][n]);
    return grain === "W" ? iso(new Date(+first + 6 * DAY)) : iso(new Date(Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + 1, 0)));
  },
  isComplete(grain, n) { return this.end(grain, n) <= DATA.through; },
  lastComplete(grain) {
    const last = this[grain].length - 1;
    return this.isComplete(grain, last) ? last : last - 1;
  },
};

// {grain, from, to}: indexes of the first and the last month or week, both within the calendar; null for an unknown id.
function periodOf(id) {
  const grain = id[0] === "w" ? "W" : "M", last = CALENDAR.lastComplete(grain), all = CALENDAR[grain];
  if (id === "all") return { id, grain: "M", from: 0, to: DATA.months.length - 1 };
  if (id === "now") return { id, grain: "M", from: DATA.months.length - 1, to: DATA.months.length - 1 };
  const spans = /^[mw](\d+)$/.exec(id);
  if (spans) {
    const n = Number(spans[1]);
    if (last < 0) return n === 1 && all.length ? { id, grain, from: all.length - 1, to: all.length - 1 } : null;
    return n >= 1 && last - n + 1 >= 0 ? { id, grain, from: last - n + 1, to: last } : null;
  }
  const quarter = /^q:(\d{4})-(\d)$/.exec(id);
  if (quarter) {
    const at = DATA.months.findIndex((one) => one.startsWith(`${quarter[1]}-${String(quarter[2] * 3 - 2).padStart(2, "0")}`));
    return at < 0 || at + 2 >= DATA.months.length ? null : { id, grain: "M", from: at, to: at + 2 };
  }
  const at = all.findIndex((one) => "mw".includes(id[0]) && id[1] === ":" && one.startsWith(id.slice(2)));
  return at < 0 ? null : { id, grain, from: at, to: at };
}

function lastDay(one) {
  const end = CALENDAR.end(one.grain, one.to);
  return end < DATA.through ? end : DATA.through;
}

function period() { return periodOf(state.period) || periodOf("m1"); }

// The same length before, or the same weeks or months a year ago; null where the data do not reach back, or where the
// period is not over: half a month is held against nothing.
function comparedWith(one) {
  if (!CALENDAR.isComplete(one.grain, one.to)) return null;
  const shift = state.against === "year" ? (one.grain === "M" ? 12 : 52) : one.to - one.from + 1;
  return one.from - shift < 0 ? null : { grain: one.grain, from: one.from - shift, to: one.to - shift };
}

function periodName(one) {
  if (one.grain === "M") {
    const first = CALENDAR.M[one.from], last = CALENDAR.M[one.to];
    const name = one.from === one.to ? month(first) : `${shortMonth(first)} – ${shortMonth(last)}`;
    return CALENDAR.isComplete("M", one.to) ? name : t("so.far", { period: name, day: shortDay(DATA.through) });
  }
  const last = CALENDAR.end("W", one.to);
  return `${shortDay(CALENDAR.W[one.from])} – ${day(last < DATA.through ? last : DATA.through)}`;
}

function asPick(pick) { return typeof pick === "string" ? { metric: pick } : pick; }
function isSummed(metric) { return SUMMED.includes(DATA.metrics[metric]?.class); }
function seriesOf(metric) { return DATA.series[metric] || []; }

function matches(dimensions, wanted) { return Object.entries(wanted || {}).every(([name, value]) => String(dimensions[name]) === String(value)); }

// What is left of the dimensions without the one of the breakdown: currency, scale, window. Those are never pooled.
function apart(one) { return Object.entries(one.d).filter(([name]) => name !== one.b); }
function apartKey(one) { return JSON.stringify(apart(one)); }

function canFilter(metric, filter) { return seriesOf(metric).some((one) => one.b === filter.dim); }

// The series of a pick for one grain: variants that are never pooled each for itself, those with most behind them first.
function variants(pick, grain, filter) {
  const { metric, own, where } = asPick(pick);
  let found = seriesOf(metric).filter((one) => one.g === grain && (one.o || "") === (own || "") && matches(one.d, where));
  if (isSummed(metric)) {
    const isFiltered = filter && canFilter(metric, filter);
    found = found.filter((one) => (isFiltered ? one.b === filter.dim && String(one.d[filter.dim]) === filter.value : one.b === "total"));
  }
  const weight = (one) => (one.k || one.n || []).reduce((sum, value) => sum + Math.abs(value || 0), 0);
  return found.sort((a, b) => weight(b) - weight(a));
}

function position(one, n) { return one.t ? one.t.indexOf(n) : n - one.s >= 0 && n - one.s < one.n.length ? n - one.s : -1; }
function firstIndex(one) { return one.t ? one.t[0] : one.s; }
function lastIndex(one) { return one.t ? one.t[one.t.length - 1] : one.s + one.n.length - 1; }

function interval(definition, n, k, x) {
  const z = 1.96, scale = definition.scale;
  if (k === null || !(k > 0)) return [null, null];
  if (definition.interval === "wilson") {
    const p = n / k, root = z * Math.sqrt(Math.max(p * (1 - p), 0) / k + (z * z) / (4 * k * k)), below = 1 + (z * z) / k;
    return [Math.max(0, (p + (z * z) / (2 * k) - root) / below), Math.min(1, (p + (z * z) / (2 * k) + root) / below)];
  }
  if (definition.interval === "nps" && x !== null) {
    const points = definition.unit === "points" ? 100 : scale, d = (scale * n) / k / points, root = z * Math.sqrt(Math.max((2 * x) / k - d - d * d, 0) / k);
    return [Math.max(-1, d - root) * points, Math.min(1, d + root) * points];
  }
  if (definition.interval === "normal" && x !== null && k > 1) {
    const root = z * Math.sqrt(Math.max(x - (n * n) / k, 0) / (k - 1) / k);
    return [(n / k - root) * scale, (n / k + root) * scale];
  }
  return [null, null];
}

// Whether the feeds of a metric do not reach the last day of a period, as far as that is over.
function isLate(metric, asked) {
  const through = DATA.metrics[metric]?.data_through, end = CALENDAR.end(asked.grain, asked.to);
  return Boolean(through) && (end < DATA.through ? end : DATA.through) > through;
}

// A value over a period: {value, numerator, denominator, n, low, high, isFinal, finalOn, isSmall, isStale, span}; null where
// nothing is known of it. `span` is the metric's own period where it is not the one asked for.
function valueOf(metric, one, asked) {
  const definition = DATA.metrics[metric];
  let numerator = null, denominator = null, extra = null, finalOn = null, found = false;
  const take = (sum, value) => (value === null || value === undefined ? sum : (sum || 0) + value);
  const told = { metric, definition, series: one, period: asked, span: null, before: null, yearAgo: null };
  if (isSummed(metric)) {
    for (let n = asked.from; n <= asked.to; n++) {
      const at = position(one, n);
      if (at < 0) continue;
      found = true;
      numerator = take(numerator, one.n[at]);
      if (one.k) denominator = take(denominator, one.k[at]);
      if (one.x) extra = take(extra, one.x[at]);
      if (one.p && one.p[at] && (!finalOn || one.p[at] > finalOn)) finalOn = one.p[at];
    }
    if (!found) return nothingCounted(metric, one, asked);
    const isDivided = definition.denominator.length > 0;
    told.value = numerator === null ? null : isDivided ? (denominator ? (definition.scale * numerator) / denominator : null) : definition.scale * numerator;
    [told.low, told.high] = one.k ? interval(definition, numerator, denominator, extra) : [null, null];
  } else {
    const at = position(one, asked.to);
    if (at < 0) return null;
    numerator = one.n[at];
    denominator = one.k ? one.k[at] : null;
    told.value = one.v[at];
    told.low = one.l ? one.l[at] : null;
    told.high = one.h ? one.h[at] : null;
    told.before = one.q ? one.q[at] : null;
    told.yearAgo = one.y ? one.y[at] : null;
    finalOn = one.p ? one.p[at] : null;
    told.span = one.o || (asked.from === asked.to ? null : "last");
  }
  Object.assign(told, {
    numerator, denominator, finalOn: finalOn || null, isFinal: !finalOn, n: one.c ? denominator : null,
    isSmall: Boolean(one.c) && denominator < definition.min_n,
    isStale: isLate(metric, asked),
  });
  return told;
}

// The value that it is compared with, or null.
function earlierOf(told) {
  const other = comparedWith(told.period);
  if (told.series.o && told.series.o.startsWith("trailing")) {
    if (!CALENDAR.isComplete(told.period.grain, told.period.to)) return null;
    return state.against === "year" ? told.yearAgo : told.before;
  }
  if (!other) return null;
  const before = valueOf(told.metric, told.series, other);
  return before && before.value !== undefined ? before.value : null;
}

// Target and figure of others in force on the last day of the period: of several the one that began last.
function heldAgainst(metric, asked) {
  const end = CALENDAR.end(asked.grain, asked.to), last = end < DATA.through ? end : DATA.through, found = {};
  for (const [kind, value, from, until, industry, source] of DATA.targets[metric] || []) {
    if (from <= last && last < until) found[kind] = { value, from, industry, source };
  }
  return found;
}

// The first day on which somebody can count as lost by inactivity, where a period is over before it: then nobody is, whatever
// anybody does. A contract ends at any time.
function lapsesLater(metric, one, end) {
  const isByInactivity = metric === "false_churn_rate" || (["churn_rate", "retention_rate"].includes(metric) && one?.d.basis === "inactivity");
  return isByInactivity && DATA.lapse && end < DATA.lapse.first ? t("nobody.lapses", { day: day(DATA.lapse.first), begins: day(DATA.lapse.begins) }) : null;
}

function isGood(metric, difference) {
  const direction = DATA.metrics[metric].direction;
  return direction === "none" || !difference ? null : (direction === "up") === difference > 0;
}

// Over all series of a metric in months or weeks: the first period with data.
const begun = new Map();
function firstOf(metric, grain) {
  if (!begun.has(grain + metric)) begun.set(grain + metric, Math.min(...seriesOf(metric).filter((one) => one.g === grain).map(firstIndex)));
  return begun.get(grain + metric);
}

// A count has no row for a month or week without anything to count: between the first data of the metric and the last day
// of its feeds that is 0, provisional for as long as any other. Anything else is not known there, and null.
function nothingCounted(metric, one, asked) {
  const definition = DATA.metrics[metric];
  if (definition.class !== "additive" || asked.to < firstOf(metric, one.g) || !definition.data_through || CALENDAR[one.g][asked.from] > definition.data_through) return null;
  const final = iso(new Date(+asDate(CALENDAR.end(one.g, asked.to)) + (definition.final_days || 0) * DAY)), on = final > DATA.through ? final : null;
  return {
    metric, definition, series: one, period: asked, span: null, before: null, yearAgo: null, value: 0, numerator: 0, denominator: null,
    low: null, high: null, n: null, finalOn: on, isFinal: !on, isSmall: false, isStale: isLate(metric, asked), isNothing: true,
  };
}

// Every point of a series, for a chart: {at, start, ...value}. What is not known has none.
function points(metric, one) {
  const found = [], isCounted = DATA.metrics[metric].class === "additive";
  for (let n = isCounted ? firstOf(metric, one.g) : firstIndex(one); n <= (isCounted ? CALENDAR[one.g].length - 1 : lastIndex(one)); n++) {
    const told = valueOf(metric, one, { grain: one.g, from: n, to: n });
    if (told && told.value !== null && told.value !== undefined) found.push({ ...told, at: n, start: CALENDAR[one.g][n] });
  }
  return found;
}

// Dimension and value of every filter that some metric of the page has.
function filterChoices() {
  const found = new Map();
  for (const [metric, list] of Object.entries(DATA.series)) {
    if (!isSummed(metric)) continue;
    for (const one of list) {
      if (one.b === "total" || one.b === "cell" || one.b === "hour" || one.b === "agent_id") continue;
      if (!found.has(one.b)) found.set(one.b, new Set());
      found.get(one.b).add(String(one.d[one.b]));
    }
  }
  return found;
}
