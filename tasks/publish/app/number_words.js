// Numbers as every table and page of a study prints them.
const numberWords = (() => {
  /** Write a count with thousands parted. */
  const count = (events) => events.toLocaleString("en-US");

  /** Write a count of events as words. */
  const events = (number) => (number === 1 ? "1 event" : `${count(number)} events`);

  /** Write the share of a parent with the digits it deserves; 100 % only where all are meant. */
  function percent(part, whole) {
    if (!whole) return "–";
    const share = (100 * part) / whole;
    if (part === whole || !part) return `${share.toFixed(0)} %`;
    if (share >= 99.95) return "> 99.9 %";
    return `${share.toFixed(decimals(share))} %`;
  }

  function decimals(share) {
    if (share >= 10) return 1;
    if (share >= 1) return 2;
    return Math.min(6, 2 - Math.floor(Math.log10(share)));
  }

  /** Write a concentration with what a count can carry: whole from 100, one decimal from 1. */
  function amount(value) {
    if (value >= 100) return value.toFixed(0);
    if (value >= 1) return value.toFixed(1);
    return String(Number(Number(value.toPrecision(2)).toFixed(10)));
  }

  /** Write an interval of concentrations: "1.2 to 3.4", or "" where none is known. */
  function interval(low, high) {
    if (typeof low !== "number" || typeof high !== "number") return "";
    return `${amount(low)} to ${amount(high)}`;
  }

  /** Write a channel value with three digits: 4,210 becomes 4,210; 42,137 becomes 42,100. */
  function rounded(value) {
    const short = Number(value.toPrecision(3));
    return short.toLocaleString("en-US", { maximumFractionDigits: Math.abs(short) < 10 ? 2 : 0 });
  }

  /** Write a number as it was set, with thousands parted. */
  const exact = (value) => value.toLocaleString("en-US", { maximumSignificantDigits: 6 });

  return { amount, count, events, exact, interval, percent, rounded };
})();
