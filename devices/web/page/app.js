import { Recognition } from "./recognition.js";
import { Microphone, decode, level, missing } from "./sound.js";
import { Transcript } from "./transcript.js";

const MODEL = "model.tflite";
const PHRASES = "phrases.ds2ph";
const part = (id) => document.getElementById(id);

const transcript = new Transcript(part("utterances"));
let recognition;
let microphone = null;
let busy = false; // with what a button asked for
let offset = 0; // seconds of the recordings before this one
let recorded = 0; // seconds of this recording
let computed = 0; // milliseconds of computing in it

function show(message) {
  part("status").textContent = message;
}

function showError(message) {
  part("error").textContent = message;
  part("error").hidden = !message;
}

/** Runs what a button asks for. Its error goes onto the page. */
async function attempt(action) {
  busy = true;
  showError("");
  update();
  try {
    await action();
  } catch (error) {
    show("");
    showError(error.message);
  }
  busy = false;
  update();
}

/** Enables what can be done now. */
function update() {
  part("listen").disabled = busy || !recognition;
  part("listen").textContent = microphone ? "Stop listening" : "Start listening";
  part("listen").setAttribute("aria-pressed", String(Boolean(microphone)));
  for (const id of ["open", "open-model", "open-phrases"]) {
    part(id).disabled = busy || Boolean(microphone) || !recognition;
  }
  for (const id of ["text", "subtitles", "json", "clear"]) {
    part(id).disabled = transcript.empty;
  }
  part("empty").hidden = !transcript.empty;
}

function onHeard({ utterances, partial, duration, milliseconds }) {
  utterances.forEach((utterance) => transcript.add(utterance, offset));
  part("partial").textContent = partial;
  computed += milliseconds;
  part("progress").value = duration;
  if (duration) {
    show(`${duration.toFixed(1)} s of sound, ${((100 * computed) / 1000 / duration).toFixed(1)} % of that time spent on computing.`);
  }
  recorded = duration;
  update();
}

async function begin() {
  offset += recorded;
  recorded = 0;
  computed = 0;
  await recognition.begin();
}

async function startListening() {
  await begin();
  microphone = await Microphone.open(
    (samples, rate) => {
      part("level").value = level(samples);
      recognition.samples(samples, rate).catch((error) => attempt(() => stopListening(error.message)));
    },
    (message) => attempt(() => stopListening(message)),
  );
  show("Listening.");
}

/** Ends the recording. What was said stays. */
async function stopListening(reason = "") {
  const open = microphone;
  microphone = null;
  if (open) {
    await open.close();
    await recognition.finish();
    part("level").value = -60;
  }
  if (reason) {
    throw new Error(reason);
  }
}

async function transcribe(file) {
  show(`Reading ${file.name}.`);
  const { samples, rate } = await decode(file);
  part("progress").max = samples.length / rate;
  showProgress(true);
  try {
    await begin();
    await recognition.samples(samples, rate);
    await recognition.finish();
  } finally {
    showProgress(false);
  }
  if (transcript.empty) {
    show(`${file.name}: no words were heard.`);
  }
}

function showProgress(shown) {
  part("progress").hidden = !shown;
  part("level").hidden = shown;
}

async function useModel(file) {
  show(`Loading ${file.name}.`);
  showModel(file.name, await recognition.load(new Uint8Array(await file.arrayBuffer()), file.name));
}

function showModel(file, { name, symbols, training, phrases }) {
  const licence = training.licence ? ` Licence of its data: ${training.licence}.` : "";
  part("model").textContent = `Model ${name} (${file}), ${symbols} symbols.${licence}`;
  part("no-phrases").hidden = !phrases;
  show(phrases ? `Ready. Only the phrases inside ${file} count.` : "Ready.");
}

async function usePhrases(file) {
  await recognition.phrases(new Uint8Array(await file.arrayBuffer()), file.name);
  part("no-phrases").hidden = false;
  show(`Ready. Only the phrases of ${file.name} count.`);
}

async function useAnyWords() {
  await recognition.phrases(null, "");
  part("no-phrases").hidden = true;
  show("Ready. Any words count.");
}

/** What a file is follows from its name. */
async function take(file) {
  if (file.name.endsWith(".tflite")) {
    return useModel(file);
  }
  return file.name.endsWith(".ds2ph") ? usePhrases(file) : transcribe(file);
}

function save(name, type, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function connectButtons() {
  part("listen").onclick = () => attempt(microphone ? stopListening : startListening);
  const choose = (button, input, action) => {
    part(button).onclick = () => part(input).click();
    part(input).onchange = () => {
      const [file] = part(input).files;
      part(input).value = "";
      attempt(() => action(file));
    };
  };
  choose("open", "file", transcribe);
  choose("open-model", "model-file", useModel);
  choose("open-phrases", "phrases-file", usePhrases);
  part("no-phrases").onclick = () => attempt(useAnyWords);
  part("text").onclick = () => save("transcript.txt", "text/plain", transcript.text());
  part("subtitles").onclick = () => save("transcript.srt", "application/x-subrip", transcript.subtitles());
  part("json").onclick = () => save("transcript.json", "application/json", transcript.json());
  part("clear").onclick = () => {
    transcript.clear();
    offset = -recorded; // what is said from now on counts from 0
    update();
  };
  part("times").onchange = () => part("utterances").classList.toggle("times", part("times").checked);
}

function connectDrops() {
  document.ondragover = (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  };
  document.ondragleave = () => document.body.classList.remove("dropping");
  document.ondrop = (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    const [file] = event.dataTransfer.files;
    if (file && part("open").disabled) {
      showError(`${file.name}: the page is busy: drop the file again when it is ready.`);
    } else if (file) {
      attempt(() => take(file));
    }
  };
}

/** Waits until the service worker serves this page, so that all that is loaded later is kept. */
async function workOffline() {
  if (!("serviceWorker" in navigator)) {
    return;
  }
  await navigator.serviceWorker.register("service-worker.js");
  if (!navigator.serviceWorker.controller) {
    await new Promise((resolve) => {
      navigator.serviceWorker.oncontrollerchange = resolve;
      setTimeout(resolve, 3000);
    });
  }
}

async function start() {
  const lack = missing();
  if (lack) {
    throw new Error(lack);
  }
  await workOffline().catch(() => {}); // the page works online without it
  const loading = new Recognition(onHeard);
  const response = await fetch(MODEL);
  if (!response.ok) {
    throw new Error(`${MODEL} cannot be loaded (${response.status}): write the page again with ds2edge web.`);
  }
  const answer = await loading.load(new Uint8Array(await response.arrayBuffer()), MODEL);
  recognition = loading;
  showModel(MODEL, answer);
  const phrases = new File([await (await fetch(PHRASES)).blob()], PHRASES);
  if (phrases.size) {
    await usePhrases(phrases);
  }
}

connectButtons();
connectDrops();
attempt(start);
