// Shows the sections of searchindex.js that answer the address's question.
"use strict";

const query = new URLSearchParams(location.search).get("q") || "";
// "Rates" finds "rate", "fitting" finds "fit", but "rate" not "separate".
const words = (query.match(/\w+/g) || []).map((word) =>
  word
    .replace(/(?<=\w{3})(ical|ing|ies|ed|y|(?<!s)s)$/i, "")
    .replace(/(?<=\w\w)([bdgmnprt])\1$/i, "$1"),
);
const wholes = words.map(
  (word) => `${word}(?:s|y|ies|ical|\\w?e[ds]|\\w?ing)?\\b`,
);
// The words in their order, each of them, and what begins like one.
const terms = [wholes.join("\\W+"), ...wholes, ...words];

function count(term, text) {
  return (text.match(RegExp(`\\b${term}`, "gi")) || []).length;
}

// What repeats, or asks for more than it teaches.
const LESS = /^(Recap|Exercises|The whole program on one page)/;

// What stands in bold is taught there, above all if it is all that does; there
// "batch" is in "minibatch", too. So is a name of code that the prose has first.
// Of two alike, the earlier teaches it.
function rank({ heading, bold, names, text, code }, place) {
  const all = `${heading} ${text} ${code}`;
  if (!words.every((word) => count(word, all))) return 0;
  const scores = terms.map((term) => {
    const hits = count(term, text) + count(term, code) / 3;
    const exact = RegExp(`(^|; )${term}(;|$)`, "i").test(bold);
    const taught = RegExp(term, "i").test(bold);
    return (
      (exact ? 8 : taught ? 4 : count(term, names) ? 3 : 0) +
      (count(term, heading) ? 2 : 0) +
      (3 * hits) / (hits + 3 + text.length / 1000)
    );
  });
  const sum = scores.reduce((sum, score) => sum + score);
  return (sum * (LESS.test(heading) ? 0.4 : 1)) / (1 + place / 150);
}

function element(name, ...children) {
  const made = document.createElement(name);
  made.append(...children);
  return made;
}

// Some lines from where the words are, with these marked: prose, or else code.
function excerpt({ bold, text, code }) {
  const any = `(?:${words.join("|")})\\w*`;
  const whole = RegExp(`\\b(${any})`, "gi");
  const inside = RegExp(`(\\w*${any})`, "gi");
  const word =
    text.search(whole) < 0 && bold.search(inside) >= 0 ? inside : whole;
  const from = text.search(word) < 0 && code.search(word) >= 0 ? code : text;
  const together = from.search(RegExp(`\\b${terms[0]}`, "i"));
  const at = Math.max(together < 0 ? from.search(word) : together, 0);
  // From where the sentence begins, unless that is far.
  const sentence = from.slice(0, at).match(/^.*[.?!:] /)?.[0].length || 0;
  const start = Math.max(sentence, from.lastIndexOf(" ", at - 120) + 1);
  const rest = from.slice(start).split(" ");
  const lines = rest.slice(0, 30).join(" ") + (rest[30] ? " …" : "");
  return element(
    from === code ? "code" : "p",
    ...lines
      .split(word)
      .map((part, i) => (i % 2 ? element("mark", part) : part)),
  );
}

function result(section) {
  const { address, chapter, heading } = section;
  const link = element("a", heading);
  link.href = address;
  const small = element("small", chapter === heading ? "" : chapter);
  return element("li", link, small, excerpt(section));
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
