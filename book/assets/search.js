// Shows the sections of searchindex.js that answer the address's question.
"use strict";

const query = new URLSearchParams(location.search).get("q") || "";
// "Rates" finds "rate", "scaling" finds "scale", but "rate" not "separate".
const words = (query.match(/\w+/g) || []).map((word) =>
  word.replace(/(?<=\w{3})(ing|ed|(?<!s)s)$/i, ""),
);
const wholes = words.map((word) => `${word}(?:s|e[ds]|ing)?\\b`);
// The words in their order, each of them, and what begins like one.
const terms = [wholes.join("\\W+"), ...wholes, ...words].map((term) =>
  RegExp(`\\b${term}`, "gi"),
);

// What stands in bold is taught there; of two alike, the earlier teaches it.
function rank({ heading, bold, text }, place) {
  const all = (word) => RegExp(`\\b${word}`, "i").test(heading + " " + text);
  if (!words.every(all)) return 0;
  const scores = terms.map((term) => {
    const hits = (text.match(term) || []).length;
    return (
      (bold.match(term) ? 4 : 0) +
      (heading.match(term) ? 2 : 0) +
      (3 * hits) / (hits + 3 + text.length / 1000)
    );
  });
  return scores.reduce((sum, score) => sum + score) / (1 + place / 150);
}

function element(name, ...children) {
  const made = document.createElement(name);
  made.append(...children);
  return made;
}

// Some lines from where the words are, with these marked.
function excerpt(text) {
  const word = RegExp(`\\b((?:${words.join("|")})\\w*)`, "gi");
  const together = text.search(terms[0]);
  const at = together < 0 ? text.search(word) : together;
  const start = text.lastIndexOf(" ", at - 80) + 1;
  const lines = text.slice(start).split(" ").slice(0, 25).join(" ");
  return lines
    .split(word)
    .map((part, i) => (i % 2 ? element("mark", part) : part));
}

function result({ address, chapter, heading, text }) {
  const link = element("a", heading);
  link.href = address;
  const small = element("small", chapter === heading ? "" : chapter);
  return element("li", link, small, element("p", ...excerpt(text)));
}

const field = document.querySelector("article input");
field.value = query;
if (query) {
  const found = sections
    .map((section, place) => ({ ...section, rank: rank(section, place) }))
    .filter((section) => words.length && section.rank)
    .sort((one, other) => other.rank - one.rank);
  const status = document.querySelector("#search-status");
  status.textContent = found.length
    ? `Sections found: ${found.length}. The best come first.`
    : `No section has “${query}”. The menu lists every chapter.`;
  document.querySelector("#search-results").append(...found.map(result));
  // The next Tab leads to the first.
  status.focus();
} else {
  field.focus();
}
