"use strict";

// Everything below is made of text nodes: what a host wrote stays text.

const words = { SUCCESS: "passed", FAILURE: "failed", WARNING: "warning", SKIPPED: "skipped", INFO: "info" };
const counted = { ...words, WARNING: "warned", INFO: "for information" };
const states = { waiting: "to do", running: "under way", done: "done" };
const order = ["FAILURE", "WARNING", "SUCCESS", "SKIPPED", "INFO"];

function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== ""));
  return element;
}

async function press(what, fields) {
  const problem = document.getElementById("lost");
  try {
    const answer = await fetch(what, { method: "POST", body: new URLSearchParams(fields) });
    if (answer.ok) return;
    problem.textContent = await answer.text();
  } catch {
    problem.textContent = "hostcheck has ended, or is out of reach. What is below is how things stood.";
  }
  problem.hidden = false;
}

// What to ask the host for, with a button that copies it.
function say(line) {
  const copy = make("button", {
    type: "button", class: "copy", id: `copy ${line}`,
    onclick: async () => {
      await navigator.clipboard.writeText(line);
      copy.textContent = "Copied";
      setTimeout(() => { copy.textContent = "Copy"; }, 1500);
    },
  }, "Copy");
  return make("span", {}, make("code", {}, line), " ", copy);
}

function question(step, q) {
  const name = `${step.scenario} ${q.check}`;
  const choice = (label, yes) =>
    make("button", {
      type: "button", class: "answer", id: `${name} ${label}`, "aria-pressed": String(q.answer === label),
      onclick: () => press("answer", { scenario: step.scenario, check: q.check, yes }),
    }, label);
  return make("li", { class: "question" },
    make("p", { id: name }, make("strong", {}, q.check), " ", q.text),
    make("div", { role: "group", "aria-labelledby": name }, choice("yes", true), choice("no", false)));
}

function verdict(check) {
  return make("li", { class: `check ${check.status.toLowerCase()}` },
    make("p", {},
      make("span", { class: "chip" }, words[check.status] ?? check.status), " ",
      make("strong", {}, check.id), ` ${check.name}`),
    check.status === "SUCCESS" ? undefined : make("p", { class: "soft" }, check.text, " ",
      check.url.startsWith("https://") ? make("a", { href: check.url, target: "_blank", rel: "noopener noreferrer" }, "Specification") : ""),
    check.message ? make("p", { class: "seen" }, check.message) : undefined);
}

function tally(checks) {
  return order.map((status) => [checks.filter((c) => c.status === status).length, counted[status]])
    .filter(([n]) => n > 0).map(([n, word]) => `${n} ${word}`).join(", ");
}

function card(step) {
  const running = step.state === "running";
  const checks = step.checks.toSorted((a, b) => order.indexOf(a.status) - order.indexOf(b.status));
  const card = make("li", { class: `step ${step.state}` },
    make("div", { class: "head" },
      make("h3", {}, step.title),
      make("span", { class: "state" }, states[step.state] ?? step.state)),
    make("p", { class: "soft" }, step.description),
    make("ol", { class: "say" }, ...step.say.map((line) => make("li", {}, say(line)))),
    make("p", {}, step.instruction),
    make("div", { class: "actions" },
      make("button", {
        type: "button", id: `start ${step.scenario}`, class: step.state === "waiting" ? "primary" : "",
        onclick: () => press("start", { scenario: step.scenario }),
      }, step.state === "waiting" ? "Start" : "Start again"),
      running ? make("button", { type: "button", id: `finish ${step.scenario}`, class: "primary", onclick: () => press("finish", {}) }, "I have done it") : undefined));
  if (step.state !== "waiting" && step.questions.length > 0) {
    card.append(make("h4", {}, "What did you see?"), make("ul", { role: "list" }, ...step.questions.map((q) => question(step, q))));
  }
  if (checks.length > 0) {
    const key = `verdicts ${step.scenario}`;
    const open = folds.get(key) ?? running;
    const fold = make("details", { id: key, ...(open ? { open: "" } : {}) },
      make("summary", { id: `${key} summary` }, `Verdicts: ${tally(checks)}`),
      make("ul", { role: "list" }, ...checks.map(verdict)));
    fold.addEventListener("toggle", () => { if (fold.isConnected && fold.open !== open) folds.set(key, fold.open); });
    card.append(fold);
  }
  return card;
}

const folds = new Map(); // which verdicts the person opened or closed
let shown = new Map(); // scenario: what its card was made of

function show(state) {
  document.getElementById("connection").textContent = state.connected ? "Your host has connected." : "Your host has not connected yet.";
  document.getElementById("connection").className = state.connected ? "good" : "";
  const focus = document.activeElement?.id;
  const list = document.getElementById("steps");
  const next = new Map();
  state.steps.forEach((step, i) => {
    const made = JSON.stringify(step);
    const old = shown.get(step.scenario);
    const element = old?.made === made ? old.element : card(step);
    if (old && old.element !== element) old.element.replaceWith(element);
    if (list.children[i] !== element) list.insertBefore(element, list.children[i] ?? null);
    next.set(step.scenario, { made, element });
  });
  shown = next;
  if (focus && document.activeElement?.id !== focus) document.getElementById(focus)?.focus();
  const done = state.steps.filter((step) => step.state === "done").length;
  document.getElementById("totals").textContent =
    `${done} of ${state.steps.length} steps done. ${tally(state.steps.flatMap((step) => step.checks))}`;
}

const events = new EventSource("events");
events.onmessage = (event) => {
  document.getElementById("lost").hidden = true;
  show(JSON.parse(event.data));
};
events.onerror = () => { document.getElementById("lost").hidden = false; };
