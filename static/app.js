// The little that htmx does not do: upload progress, the size of a file before it travels, drag and drop, lost connections,
// events that do not come.
"use strict";

const flash = (sentence) => {
  const place = document.getElementById("flash");
  if (place.textContent !== sentence) place.textContent = sentence;
};

const inWords = (bytes) => bytes < 2 ** 30 ? `${Math.ceil(bytes / 2 ** 20)} MiB` : `${(bytes / 2 ** 30).toFixed(1)} GiB`;

// A file that is too large is named before it travels; the server checks again.
const check = (input) => {
  const [most, file] = [Number(input.form.dataset.max), input.files[0]];
  const isTooLarge = file && most && file.size > most;
  input.setCustomValidity(isTooLarge ? `The file has ${inWords(file.size)}; the limit is ${inWords(most)}.` : "");
  if (isTooLarge) input.reportValidity();
};

document.addEventListener("change", (event) => {
  if (event.target.type === "file") check(event.target);
});

document.addEventListener("htmx:xhr:progress", (event) => {
  const bar = event.target.querySelector("progress[data-upload]");
  if (!bar || !event.detail.lengthComputable || !event.detail.loaded) return;
  bar.hidden = false;
  bar.max = event.detail.total;
  bar.value = event.detail.loaded;
  const share = Math.floor((100 * event.detail.loaded) / event.detail.total);
  bar.nextElementSibling.textContent = share < 100 ? `${share} % sent` : "All sent; pgassay looks at it.";
});

document.addEventListener("htmx:afterRequest", (event) => {
  const bar = event.target.querySelector("progress[data-upload]");
  if (bar) [bar.hidden, bar.nextElementSibling.textContent] = [true, ""];
  if (event.detail.successful) flash("");
});

// A page that has more to show is loaded anew, but not while tags or a memo are being typed: it asks again until they are sent.
document.addEventListener("htmx:beforeOnLoad", (event) => {
  if (!event.detail.xhr.getResponseHeader("HX-Refresh") || !document.querySelector("#filing form")) return;
  event.preventDefault();
  flash("It has ended. What came of it is shown when the tags and the memo are kept, or left as they were.");
});

// A page out of the back/forward cache has a form that was sent already.
window.addEventListener("pageshow", (event) => event.persisted && location.reload());

document.addEventListener("htmx:sendError", () =>
  flash("The connection was lost before pgassay could answer. Is it still running, and is the file within the limit?"));

for (const panel of document.querySelectorAll("[data-drop]")) {
  const over = (isOver) => panel.classList.toggle("dragging", isOver);
  panel.addEventListener("dragover", (event) => (event.preventDefault(), over(true)));
  panel.addEventListener("dragleave", (event) => panel.contains(event.relatedTarget) || over(false));
  panel.addEventListener("drop", (event) => {
    event.preventDefault();
    over(false);
    const input = panel.querySelector("input[type=file]");
    if (!event.dataTransfer.files.length) return;
    input.files = event.dataTransfer.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  });
}

// A benchmark that runs comes by server-sent events. While none arrive, whatever keeps them away, it is asked for.
for (const run of document.querySelectorAll("[data-live]")) {
  let arrivedAt = Date.now();
  run.addEventListener("htmx:sseMessage", () => (arrivedAt = Date.now()));
  setInterval(() => Date.now() - arrivedAt > 3500 && htmx.trigger(run, "look"), 2000);
}

// Copying needs a secure page; where that is not given, the links beside the buttons do.
for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      const answer = await fetch(button.dataset.copy);
      if (!answer.ok) throw new Error(answer.statusText);
      await navigator.clipboard.writeText(await answer.text());
      document.getElementById("live").textContent = button.textContent = "Copied";
    } catch {
      flash("It could not be copied; the link beside the button opens it.");
    }
  });
}
