/** What was said, on the page and as files. */
export class Transcript {
  #utterances = [];

  /** @param {HTMLElement} list */
  constructor(list) {
    this.list = list;
  }

  get empty() {
    return this.#utterances.length === 0;
  }

  /**
   * Adds an utterance.
   * @param {object} utterance
   * @param {number} offset seconds from the start of the transcript to that of the recording
   */
  add(utterance, offset) {
    const words = utterance.words.map((word) => ({ ...word, start: word.start + offset, end: word.end + offset }));
    const moved = { ...utterance, words, start: utterance.start + offset, end: utterance.end + offset };
    this.#utterances.push(moved);
    this.list.append(item(moved));
  }

  clear() {
    this.#utterances = [];
    this.list.replaceChildren();
  }

  text() {
    return this.#utterances.map(({ text }) => `${text}\n`).join("");
  }

  subtitles() {
    const parts = this.#utterances.map(
      ({ text, start, end }, i) => `${i + 1}\n${subtitleTime(start)} --> ${subtitleTime(end)}\n${text}\n`,
    );
    return parts.join("\n");
  }

  json() {
    const rows = this.#utterances.map(({ text, start, end, confidence, words, meaning }) => ({
      text,
      ...(meaning ?? {}),
      start: seconds(start),
      end: seconds(end),
      confidence,
      words: words.map((word) => ({ ...word, start: seconds(word.start), end: seconds(word.end) })),
    }));
    return JSON.stringify(rows, null, 1);
  }
}

function item({ words, start, meaning }) {
  const row = document.createElement("li");
  const time = document.createElement("time");
  time.textContent = clock(start);
  const text = document.createElement("span");
  for (const word of words) {
    const span = document.createElement("span");
    span.className = "word";
    span.textContent = word.text;
    span.dataset.time = word.start.toFixed(2);
    span.title = `${word.start.toFixed(2)} to ${word.end.toFixed(2)} s, confidence ${Math.round(100 * word.confidence)} %`;
    text.append(span, " ");
  }
  row.append(time, text);
  if (meaning) {
    const line = document.createElement("span");
    line.className = "meaning";
    line.textContent = `${meaning.intent} ${JSON.stringify(meaning.slots)}`;
    row.append(line);
  }
  return row;
}

function clock(time) {
  const whole = Math.floor(time);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

function subtitleTime(time) {
  return new Date(Math.round(1000 * time)).toISOString().slice(11, 23).replace(".", ",");
}

function seconds(time) {
  return Math.round(1000 * time) / 1000;
}
