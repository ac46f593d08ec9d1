// Save an enlarged plot as a PNG that can stand by itself: on paper, with all that says what it is.
const plotPicture = (() => {
  const { FONT, fitted } = plotFrame;
  const WIDTH = 800;
  const MARGIN = 20;
  const SCALE = 2;
  const STYLES = {
    title: { font: `600 21px ${FONT}`, step: 28 },
    words: { font: `14px ${FONT}`, step: 20 },
    small: { font: `12px ${FONT}`, step: 17 },
  };
  /** Marks that turn the direction of a text, or are no letters at all. */
  const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

  /**
   * Save a plot as it is seen, in the colours of paper. asked and scene: as plotScene has them;
   * title: the gate's name; notes: what is laid over and lit. Gives a promise of the file's name.
   */
  async function save({ asked, scene, title, notes, results }) {
    const { tube, plot } = asked;
    const above = [
      ["title", title],
      ["words", headLine(tube.head)],
      ["small", `${tube.head.file} · collected ${tube.head.collected.replace("T", " ")}`],
      ...gateCaptions.sentences(tube, plot, results).map((words) => ["words", words]),
      ...gateCaptions.hiddenCuts(tube, plot).map((words) => ["small", words]),
    ];
    const below = [
      ...[...notes, ...scene.notes, limitWords(scene)]
        .filter(Boolean)
        .map((words) => ["small", words]),
      ["small", gateCaptions.thresholdWords(tube, plot)],
      ["small", madeWith(tube.head)],
    ];
    const name = fileName(tube, plot, asked.chosen);
    download(await png(drawn(scene, above, below)), name);
    return name;
  }

  const limitWords = ({ limits }) =>
    limits.length ? "Dotted: limits within which a threshold is believed." : "";

  function headLine({ patient, visit, panel, specimen, control }) {
    const words = control ? tubeVisits.controlWords(control) : "";
    return [patient, visit, panel, specimen, words].filter(Boolean).join(" · ");
  }

  function madeWith(head) {
    const version = (name, sha256) => (name ? `${name} (${sha256.slice(0, 12)})` : "none");
    return [
      `strategy ${version(head.strategy, head.strategy_sha256)}`,
      `calibration ${version(head.calibration, head.calibration_sha256)}`,
      `panel ${version(head.panel_version, head.panel_sha256)}`,
      `tube ${head.tube_sha256.slice(0, 12)}`,
      head.corrected ? "corrected" : "",
    ]
      .filter(Boolean)
      .join(" · ");
  }

  /** Name the file by patient, visit, panel and gate; other letters than these become _. */
  function fileName(tube, plot, chosen) {
    const { patient, visit, panel, specimen, control } = tube.head;
    const gate = tube.gates[plot.gates.includes(chosen) ? chosen : plot.gates[0]].name;
    const parts = [patient, visit, panel, specimen === "blood" ? "" : specimen, control, gate];
    const plain = (part) => part.replace(/[^A-Za-z0-9.-]+/g, "_").slice(0, 40);
    const trimmed = (part) => plain(part).replace(/^[._-]+|[._]+$/g, "");
    return `${parts.map(trimmed).filter(Boolean).join("_") || "plot"}.png`;
  }

  function drawn(scene, above, below) {
    colourScale.print(true);
    try {
      return composed(scene, above, below);
    } finally {
      colourScale.print(false);
    }
  }

  function composed(scene, above, below) {
    const theme = colourScale.theme();
    const plot = document.createElement("canvas");
    plotDrawing.draw(plot, scene, WIDTH - 2 * MARGIN, SCALE);
    const sheet = document.createElement("canvas");
    const pen = sheet.getContext("2d");
    const [head, foot] = [above, below].map((texts) => texts.flatMap(linesOf(pen)));
    const heights = [head, foot].map((lines) => lines.reduce((sum, { step }) => sum + step, 0));
    sheet.width = SCALE * WIDTH;
    sheet.height = SCALE * (3 * MARGIN + heights[0] + heights[1]) + plot.height;
    pen.fillStyle = theme.paper;
    pen.fillRect(0, 0, sheet.width, sheet.height);
    const top = SCALE * (MARGIN + heights[0] + MARGIN / 2);
    pen.drawImage(plot, SCALE * MARGIN, top);
    pen.scale(SCALE, SCALE);
    pen.fillStyle = theme.ink;
    write(pen, head, MARGIN);
    write(pen, foot, (top + plot.height) / SCALE + MARGIN / 2);
    return sheet;
  }

  /** Break a text into lines that fit the sheet; a word that is too long is shortened. */
  function linesOf(pen) {
    const room = WIDTH - 2 * MARGIN;
    return ([style, text]) => {
      const { font, step } = STYLES[style];
      pen.font = font;
      const lines = [];
      for (const word of text.replace(UNSEEN, "").split(/\s+/).filter(Boolean)) {
        const longer = lines.length ? `${lines.at(-1)} ${word}` : word;
        if (lines.length && pen.measureText(longer).width <= room) lines[lines.length - 1] = longer;
        else lines.push(fitted(pen, word, room, font));
      }
      return lines.map((line) => ({ line, font, step }));
    };
  }

  function write(pen, lines, start) {
    pen.textAlign = "left";
    let bottom = start;
    for (const { line, font, step } of lines) {
      bottom += step;
      pen.font = font;
      pen.fillText(line, MARGIN, bottom - 5);
    }
  }

  function png(canvas) {
    return new Promise((resolve, reject) =>
      canvas.toBlob((blob) =>
        blob ? resolve(blob) : reject(new Error("This browser made no picture of the plot.")),
      ),
    );
  }

  function download(blob, name) {
    const href = URL.createObjectURL(blob);
    const link = element("a", { href, download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(href), 10000);
  }

  return { fileName, save };
})();
