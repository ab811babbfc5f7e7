/**
 * The page in Chromium. DS2EDGE_PAGE is its address. DS2EDGE_CLIPS is a JSON file with what Python
 * recognises: {"files": [[path, texts, texts with the golden model], ...], "golden": path,
 * "phrases": path, "house": path of the golden model with these phrases inside,
 * "phrase": {"text", "intent", "slots"} of the first file, "microphone": path, "spoken": texts with the golden model}.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const address = process.env.DS2EDGE_PAGE;
const clips = address && JSON.parse(readFileSync(process.env.DS2EDGE_CLIPS, "utf8"));
const skip = address ? false : "DS2EDGE_PAGE names no page: run tests/slow/test_web.py";
const MILLISECONDS = 60000;

let browser;
let page;
let context;

before(async () => {
  if (skip) {
    return;
  }
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--use-fake-device-for-media-stream",
      "--use-fake-ui-for-media-stream",
      `--use-file-for-fake-audio-capture=${clips.microphone}%noloop`,
    ],
  });
  context = await browser.newContext({ acceptDownloads: true });
  page = await context.newPage();
  await page.goto(address);
  await ready();
});

after(() => browser?.close());

const ready = () =>
  page.waitForFunction(() => !document.getElementById("open").disabled, null, { timeout: MILLISECONDS });
const texts = async () =>
  (await page.locator("#utterances li > span:nth-child(2)").allTextContents()).map((text) => text.trim());
const error = () => page.textContent("#error");

/** @param {string} button */
async function saved(button) {
  const [download] = await Promise.all([page.waitForEvent("download"), page.click(button)]);
  return readFileSync(await download.path(), "utf8");
}

test("a file has the text that Python gives it", { skip }, async () => {
  for (const [path, expected] of clips.files) {
    if (await page.isEnabled("#clear")) {
      await page.click("#clear");
    }
    await page.setInputFiles("#file", path);
    await ready();
    assert.deepEqual(await texts(), expected, path);
    assert.equal(await error(), "");
  }
});

test("another model is used, and its text is Python's, too", { skip }, async () => {
  await page.setInputFiles("#model-file", clips.golden);
  await ready();
  for (const [path, , expected] of clips.files) {
    await page.click("#clear");
    await page.setInputFiles("#file", path);
    await ready();
    assert.deepEqual(await texts(), expected, path);
  }
});

test("with phrases, the meaning is shown", { skip }, async () => {
  await page.setInputFiles("#phrases-file", clips.phrases);
  await ready();
  await page.click("#clear");
  await page.setInputFiles("#file", clips.files[0][0]);
  await ready();
  assert.deepEqual(await texts(), [clips.phrase.text]);
  const { intent, slots } = clips.phrase;
  assert.equal(await page.textContent(".meaning"), `${intent} ${JSON.stringify(slots)}`);
  await page.click("summary");
  await page.click("#no-phrases");
  await page.waitForFunction(() => document.getElementById("no-phrases").hidden);
});

test("a model with phrases inside listens for them", { skip }, async () => {
  await page.setInputFiles("#model-file", clips.house);
  await ready();
  assert.match(await page.textContent("#status"), /Only the phrases inside house\.tflite count/);
  await page.click("#clear");
  await page.setInputFiles("#file", clips.files[0][0]);
  await ready();
  assert.deepEqual(await texts(), [clips.phrase.text]);
  await page.click("#no-phrases");
  await page.waitForFunction(() => document.getElementById("no-phrases").hidden);
});

test("the transcript can be saved", { skip }, async () => {
  const shown = await texts();
  assert.equal(await saved("#text"), shown.map((text) => `${text}\n`).join(""));
  assert.match(await saved("#subtitles"), /^1\n00:00:\d\d,\d{3} --> 00:00:\d\d,\d{3}\n/);
  const rows = JSON.parse(await saved("#json"));
  assert.deepEqual(rows.map(({ text }) => text), shown);
  assert.deepEqual(rows[0].words.map(({ text }) => text), shown[0].split(" "));
});

test("what is no sound file gets one sentence, and nothing is lost", { skip }, async () => {
  const shown = await texts();
  await page.setInputFiles("#file", { name: "notes.wav", mimeType: "audio/wav", buffer: Buffer.from("no sound") });
  await ready();
  assert.match(await error(), /^notes\.wav: this browser cannot read the file: convert it/);
  await page.setInputFiles("#model-file", { name: "a.tflite", mimeType: "", buffer: Buffer.from("no model") });
  await ready();
  assert.match(await error(), /^a\.tflite: no ds2edge specification inside/);
  assert.deepEqual(await texts(), shown);
});

test("the microphone is transcribed live", { skip }, async () => {
  await page.click("#clear");
  await page.click("#listen");
  await page.waitForFunction(() => document.getElementById("partial").textContent, null, { timeout: MILLISECONDS });
  await page.waitForFunction(
    (count) => document.querySelectorAll("#utterances li").length === count,
    clips.spoken.length,
    { timeout: MILLISECONDS },
  );
  await page.click("#listen");
  await ready();
  assert.deepEqual(await texts(), clips.spoken);
  assert.equal(await error(), "");
});

test("a microphone that is taken away gets one sentence, and nothing is lost", { skip }, async () => {
  const shown = await texts();
  await page.evaluate(() => {
    const original = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (wanted) => {
      window.microphone = await original(wanted);
      return window.microphone;
    };
  });
  await page.click("#listen");
  await page.waitForFunction(() => window.microphone && document.getElementById("listen").textContent === "Stop listening");
  await page.evaluate(() => window.microphone.getAudioTracks()[0].dispatchEvent(new Event("ended")));
  await page.waitForFunction(() => !document.getElementById("error").hidden);
  await ready();
  assert.match(await error(), /^The microphone was taken away: plug it in/);
  assert.equal(await page.textContent("#listen"), "Start listening");
  assert.deepEqual((await texts()).slice(0, shown.length), shown);
});

test("a microphone that the browser refuses gets one sentence", { skip }, async () => {
  const shown = await texts();
  await page.evaluate(() => {
    navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("no", "NotAllowedError"));
  });
  await page.click("#listen");
  await page.waitForFunction(() => !document.getElementById("error").hidden);
  assert.match(await error(), /^This page may not use the microphone: allow it/);
  assert.equal(await page.textContent("#listen"), "Start listening");
  assert.deepEqual(await texts(), shown);
});

test("the page works offline after the first visit", { skip }, async () => {
  await context.setOffline(true);
  await page.reload();
  await ready();
  const [path, expected] = clips.files[0];
  await page.setInputFiles("#file", path);
  await ready();
  assert.deepEqual(await texts(), expected);
  await context.setOffline(false);
});

test("every control has a name and can be reached with the keyboard", { skip }, async () => {
  const nameless = await page.evaluate(() =>
    [...document.querySelectorAll("button, summary, meter, progress, input:not([hidden])")]
      .filter((part) => !(part.textContent.trim() || part.ariaLabel || part.labels?.length))
      .map((part) => part.outerHTML),
  );
  assert.deepEqual(nameless, []);
  await page.keyboard.press("Tab");
  const focused = await page.evaluate(() => document.activeElement.id);
  assert.equal(focused, "listen");
});
