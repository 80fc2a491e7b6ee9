// Numbers, days and durations in the reader's language.

const formats = new Map();
function intl(kind, options) {
  const key = state.language + kind + JSON.stringify(options);
  if (!formats.has(key)) {
    formats.set(key, kind === "n" ? new Intl.NumberFormat(LOCALES[state.language], options)
      : new Intl.DateTimeFormat(LOCALES[state.language], { timeZone: "UTC", ...options }));
  }
  return formats.get(key);
}

function number(value, digits) {
  return value === null || value === undefined ? "–"
    : intl("n", { minimumFractionDigits: digits || 0, maximumFractionDigits: digits || 0 }).format(value);
}

function precise(value) { return value === null || value === undefined ? "–" : intl("n", { maximumFractionDigits: 4 }).format(value); }

function duration(seconds) {
  const sign = seconds < 0 ? "−" : "", s = Math.abs(seconds);
  const parts = s >= 172800 ? [[s / 86400, "day"]] : s >= 7200 ? [[s / 3600, "hour"]] : s >= 120 ? [[s / 60, "minute"]] : [[s, "second"]];
  const [amount, unit] = parts[0];
  return sign + intl("n", { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: amount < 100 && unit !== "second" ? 1 : 0 }).format(amount);
}

// A metric's value in its unit. `short`: for axes and small places.
function inUnit(value, unit, short) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  switch (unit) {
    case "share": return intl("n", { style: "percent", maximumFractionDigits: short ? 0 : 1, minimumFractionDigits: short ? 0 : 1 }).format(value);
    case "currency": {
      const big = short || Math.abs(value) >= 1e6;
      return intl("n", {
        style: "currency", currency: DATA.currency, currencyDisplay: "narrowSymbol",
        ...(big ? { notation: "compact", maximumFractionDigits: short ? 1 : 2 } : { maximumFractionDigits: Math.abs(value) < 1000 ? 2 : 0 }),
      }).format(value);
    }
    case "points": return intl("n", { signDisplay: "exceptZero", maximumFractionDigits: short ? 0 : 1, minimumFractionDigits: short ? 0 : 1 }).format(value);
    case "minutes": return duration(value * 60);
    case "seconds": return duration(value);
    case "index": return intl("n", { minimumFractionDigits: 2, maximumFractionDigits: 2 }).format(value) + "×";
    case "count": return Number.isInteger(value)
      ? intl("n", short && Math.abs(value) >= 10000 ? { notation: "compact", maximumFractionDigits: 1 } : {}).format(value)
      : intl("n", { maximumFractionDigits: Math.abs(value) < 100 ? 2 : 0 }).format(value);
    default: return intl("n", { maximumFractionDigits: 2 }).format(value);
  }
}

// A difference in the unit: shares in percentage points.
function differenceInUnit(value, unit) {
  const signed = (options) => intl("n", { signDisplay: "exceptZero", ...options }).format(value);
  if (unit === "share") {
    return intl("n", { signDisplay: "exceptZero", maximumFractionDigits: 1, minimumFractionDigits: 1 }).format(value * 100) + " " + t("pp");
  }
  if (unit === "minutes" || unit === "seconds") return (value > 0 ? "+" : "") + duration(unit === "minutes" ? value * 60 : value);
  if (unit === "currency") return (value > 0 ? "+" : "") + inUnit(value, unit);
  if (unit === "points") return signed({ maximumFractionDigits: 1, minimumFractionDigits: 1 });
  if (unit === "count") return signed({ maximumFractionDigits: Math.abs(value) < 10 ? 2 : 0 });
  return signed({ maximumFractionDigits: 2 });
}

function percentChange(now, before) {
  return intl("n", { style: "percent", signDisplay: "exceptZero", maximumFractionDigits: 1 }).format(now / before - 1);
}

function day(iso) { return iso ? intl("d", { day: "numeric", month: "short", year: "numeric" }).format(new Date(iso + "T00:00:00Z")) : "–"; }
function shortDay(iso) { return intl("d", { day: "numeric", month: "short" }).format(new Date(iso + "T00:00:00Z")); }
function month(iso) { return intl("d", { month: "long", year: "numeric" }).format(new Date(iso.slice(0, 10) + "T00:00:00Z")); }
function shortMonth(iso) { return intl("d", { month: "short", year: "2-digit" }).format(new Date(iso.slice(0, 10) + "T00:00:00Z")); }
function instant(iso) {
  const at = new Date(/[Z+]/.test(iso.slice(10)) ? iso : iso + "Z");
  return intl("d", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" }).format(at) + " UTC";
}
