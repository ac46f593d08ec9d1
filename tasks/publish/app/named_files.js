// Sentences name files that lie beside a tube's page: those words lead to them.
const NAMED_FILES = /(thresholds\.csv|qc\.json)/;

/**
 * Give a sentence as texts and links: the files of a tube that it names are linked. folder is the
 * address of the tube's folder, "" on the tube's own page.
 */
function linkedSentence(sentence, folder) {
  return sentence
    .split(NAMED_FILES)
    .filter(Boolean)
    .map((part) =>
      NAMED_FILES.test(part) ? element("a", { href: `${folder}${part}` }, part) : part,
    );
}
