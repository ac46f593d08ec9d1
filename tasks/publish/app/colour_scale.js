// Colours of plots: how many events lie in a bin, and what is drawn over them.
const colourScale = (() => {
  const VIRIDIS = [
    "440154",
    "472d7b",
    "3b528b",
    "2c728e",
    "21918c",
    "28ae80",
    "5ec962",
    "addc30",
    "fde725",
  ];

  const LIGHT = {
    name: "light",
    paper: "#ffffff",
    ink: "#1b1f24",
    faded: "#5d6875",
    gate: "#c2103f",
    tint: "rgba(194, 16, 63, 0.07)",
    other: "#0a55b0",
    lit: "#d75a00",
    limit: "#6b3fa0",
    dot: "#3b2a66",
    density: VIRIDIS,
    grey: ["d3d9df", "56616d"],
  };
  const DARK = {
    name: "dark",
    paper: "#0d1014",
    ink: "#e6eaef",
    faded: "#9aa6b2",
    gate: "#ff5470",
    tint: "rgba(255, 84, 112, 0.10)",
    other: "#8cc4ff",
    lit: "#ffa94d",
    limit: "#c8a8f0",
    dot: "#b9a8f0",
    density: VIRIDIS.slice(2),
    grey: ["2c343c", "87939f"],
  };
  let printing = false;

  /** Give the colours of this moment: paper is light whatever the screen is. */
  function theme() {
    return !printing && matchMedia("(prefers-color-scheme: dark)").matches ? DARK : LIGHT;
  }

  /** Say whether the page is being printed. */
  function print(now) {
    printing = now;
  }

  const channels = (hex) => [0, 2, 4].map((start) => parseInt(hex.slice(start, start + 2), 16));

  /** Give 256 colours (red, green, blue) from stops spread evenly. */
  function ramp(stops) {
    const colours = stops.map(channels);
    return Array.from({ length: 256 }, (_, step) => {
      const place = (step / 255) * (colours.length - 1);
      const lower = Math.min(Math.floor(place), colours.length - 2);
      const between = (channel) =>
        colours[lower][channel] +
        (place - lower) * (colours[lower + 1][channel] - colours[lower][channel]);
      return [0, 1, 2].map((channel) => Math.round(between(channel)));
    });
  }

  /**
   * Colour a density (bins × bins, first index x) as rows of pixels from the top, four bytes each:
   * by the logarithm of the count, clear where it is zero.
   */
  function pixels(density, stops) {
    const { bins, counts, most } = density;
    const colours = ramp(stops);
    const scale = 255 / Math.log1p(Math.max(1, most));
    const painted = new Uint8ClampedArray(4 * bins * bins);
    counts.forEach((count, cell) => {
      if (!count) return;
      const row = bins - 1 - (cell % bins);
      const start = 4 * (row * bins + Math.floor(cell / bins));
      painted.set([...colours[Math.round(scale * Math.log1p(count))], 255], start);
    });
    return painted;
  }

  return { pixels, print, ramp, theme };
})();
