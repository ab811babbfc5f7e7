// Keeps the page, the model and LiteRT.js in the browser, so that the page works offline.
"use strict";

// `ds2edge web` writes the version and the list of small files. The page loads the others later.
const CACHE = "ds2edge-@VERSION@";
const FILES = "@FILES@".split(" ");

self.addEventListener("install", (event) => {
  self.skipWaiting();
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(["./", ...FILES])));
});

self.addEventListener("activate", (event) => {
  const old = async (name) => name.startsWith("ds2edge-") && name !== CACHE && caches.delete(name);
  event.waitUntil(
    caches
      .keys()
      .then((names) => Promise.all(names.map(old)))
      .then(() => self.clients.claim()),
  );
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && new URL(request.url).origin === self.location.origin) {
    event.respondWith(answer(request));
  }
});

/** The kept answer, or that of the server, which is then kept. */
async function answer(request) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(request, { ignoreSearch: true });
  if (kept) {
    return kept;
  }
  const response = await fetch(request);
  if (response.ok) {
    await cache.put(request, response.clone());
  }
  return response;
}
