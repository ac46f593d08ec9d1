// Numbers as every table and page of a study prints them.
const numberWords = (() => {
  /** Write a count with thousands parted. */
  const count = (events) => events.toLocaleString("en-US");

  /** Write a count of events as words. */
  const events = (number) => (number === 1 ? "1 event" : `${count(number)} events`);

  /** Write the share of a parent; 100 % only where all are meant. */
  function percent(part, whole) {
    if (!whole) return "–";
    const share = (100 * part) / whole;
    return part !== whole && share >= 99.95 ? "> 99.9 %" : `${amount(share)} %`;
  }

  /** Write a concentration or a percentage as tables do: whole from 100, one decimal from 1. */
  function amount(value) {
    if (value >= 99.95) return fixed(value, 0);
    if (value >= 0.995) return fixed(value, 1);
    return String(Number(Number(value.toPrecision(2)).toFixed(10)));
  }

  /** Write a number with so many decimals; a tie goes to the even digit, as tables print it. */
  function fixed(value, places) {
    const exact = value.toFixed(20);
    const end = exact.indexOf(".") + 1 + places;
    const kept = exact.slice(0, end).replace(/\.$/, "");
    const isTie = /^50*$/.test(exact.slice(end));
    return isTie && /[02468]$/.test(kept) ? kept : value.toFixed(places);
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
