"use strict";
// Plays the film that the page carries. State: the chapter shown, the step in it, and whether it plays.

const film = pageData("film");
const at = (id) => document.getElementById(id);
const SEEK = 20; // keys
const KEYS_SHOWN = 14;
const BESIDE = 290; // pixels above and below the screen
const total = film.chapters.reduce((sum, chapter) => sum + chapter.steps, 0);

const state = { chapter: -1, step: 0, playing: false, rate: film.rate, fast: false, credit: 0, gap: film.pause, waited: 0 };
const view = new ScreenView(at("screen"), film.rows, film.cols);
let current = null; // {data, screens} of the chapter shown
let loading = 0; // number of the last load that was asked for

// Show a step of a chapter; the chapter is unpacked if it is another one than the last.
async function show(chapter, step) {
  const asked = ++loading;
  if (chapter !== state.chapter) {
    const data = await unpackBlock("film-" + film.chapters[chapter].episode);
    if (asked !== loading) return; // another one was asked for meanwhile
    current = { data, screens: new Screens(data) };
    state.chapter = chapter;
    showChapter();
  }
  state.step = Math.max(0, Math.min(step, film.chapters[chapter].steps));
  draw();
}

function draw() {
  const { data, screens } = current;
  const { rows, y, x } = screens.at(state.step);
  view.draw(rows.map((number) => data.rows[number]), y, x);
  const chapter = film.chapters[state.chapter];
  at("screen").dataset.place = chapter.episode + ":" + state.step;
  at("seek").value = state.step;
  at("seek").setAttribute("aria-valuetext", `key ${state.step} of ${chapter.steps}`);
  const ended = state.step === chapter.steps;
  const phase = film.phases[data.phases[Math.min(state.step, chapter.steps - 1)]];
  at("phase").textContent = phase;
  at("phase").dataset.phase = phase;
  const first = Math.max(0, state.step - KEYS_SHOWN + 1);
  const pressed = data.keys.slice(first, state.step + 1).map((key) => element("kbd", "", film.keys[key]));
  if (ended) pressed.push(element("kbd", "", "end"));
  at("keys").replaceChildren(...pressed);
  showPlace();
}

function clock(seconds) {
  const whole = Math.ceil(seconds);
  const two = (number) => String(number).padStart(2, "0");
  return whole < 3600 ? `${Math.floor(whole / 60)}:${two(whole % 60)}`
    : `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
}

function showPlace() {
  const chapter = film.chapters[state.chapter];
  const later = film.chapters.slice(state.chapter + 1);
  const keys = later.reduce((sum, other) => sum + other.steps, chapter.steps - state.step);
  const left = keys / speed() + later.length * state.gap;
  at("place").textContent = `${state.step.toLocaleString("en")} / ${chapter.steps.toLocaleString("en")} keys, ${clock(left)} left`;
}

function showChapter() {
  const chapter = film.chapters[state.chapter];
  at("subject").textContent = chapter.subject || "(no subject)";
  at("commit").textContent = chapter.commit.slice(0, 12);
  at("seek").max = chapter.steps;
  for (const link of at("chapters").querySelectorAll("[aria-current]")) link.removeAttribute("aria-current");
  const link = at("chapters").children[state.chapter]?.firstChild;
  if (!link) return;
  link.setAttribute("aria-current", "true");
  const list = at("chapters"); // scrolled by hand: scrollIntoView would move the page, too
  if (link.offsetTop < list.scrollTop || link.offsetTop > list.scrollTop + list.clientHeight - 60) {
    list.scrollTop = link.offsetTop - list.clientHeight / 2;
  }
}

// The address tells the place, without a line in the browser's history for every key.
// A key that is held down moves the film more often than browsers let an address change.
let telling = null;
function tellPlace() {
  clearTimeout(telling);
  telling = setTimeout(() => {
    const place = "#" + film.chapters[state.chapter].episode + ":" + state.step;
    if (!state.playing && location.hash !== place) history.replaceState(null, "", place);
  }, 150);
}

function speed() {
  return state.rate * (state.fast ? film.fast : 1);
}

function setRate(rate) {
  state.rate = Math.max(0.5, Math.min(100000, rate || 0.5));
  at("rate").value = Number(state.rate.toPrecision(4));
  if (current) showPlace();
}

function setPlaying(playing) {
  state.playing = playing;
  state.credit = 0;
  at("play").textContent = playing ? "Pause" : "Play";
  at("play").setAttribute("aria-label", playing ? "Pause" : "Play");
  if (!playing) tellPlace();
}

// A jump to a place: the film goes on from there if it was playing.
async function seek(chapter, step) {
  if (chapter < 0) return seek(0, 0);
  if (chapter >= film.chapters.length) return seek(film.chapters.length - 1, Infinity);
  state.waited = 0;
  await show(chapter, step);
  if (!state.playing) tellPlace();
}

function seekBy(keys) {
  const { chapter, step } = state;
  const steps = film.chapters[chapter].steps;
  if (step + keys < 0 && chapter > 0) return seek(chapter - 1, Infinity);
  if (step + keys > steps && chapter + 1 < film.chapters.length) return seek(chapter + 1, 0);
  return seek(chapter, step + keys);
}

// The next or previous mark of this commit; behind its last and before its first one, the commit next to it.
function seekMark(marks, way) {
  const found = way > 0 ? marks.find((mark) => mark > state.step) : marks.findLast((mark) => mark < state.step);
  if (found !== undefined) return seek(state.chapter, found);
  return way > 0 ? seekBy(Infinity) : state.step > 0 ? seek(state.chapter, 0) : seekBy(-Infinity);
}

function seekChapter(way) {
  return seek(state.chapter + way, 0);
}

const commands = {
  " ": () => togglePlay(),
  ArrowLeft: () => seekBy(-SEEK),
  ArrowRight: () => seekBy(SEEK),
  ",": () => seekBy(-1),
  ".": () => seekBy(1),
  c: () => seekMark(current.data.changeMarks, 1),
  C: () => seekMark(current.data.changeMarks, -1),
  l: () => seekMark(current.data.lineMarks, 1),
  L: () => seekMark(current.data.lineMarks, -1),
  n: () => seekChapter(1),
  p: () => seekChapter(-1),
  Home: () => seek(state.chapter, 0),
  End: () => seek(state.chapter, Infinity),
  "+": () => setRate(state.rate * 1.5),
  "=": () => setRate(state.rate * 1.5),
  "-": () => setRate(state.rate / 1.5),
  f: () => toggleFast(),
  "?": () => at("help").showModal(),
};

function togglePlay() {
  const last = film.chapters.length - 1;
  if (!state.playing && state.chapter === last && state.step === film.chapters[last].steps) seek(0, 0);
  setPlaying(!state.playing);
}

function toggleFast() {
  state.fast = !state.fast;
  at("fast").setAttribute("aria-pressed", state.fast);
  showPlace();
}

// The keys that are due since the last tick are played; at most one screen is drawn for them.
let before = null;
async function tick(now) {
  const passed = before === null ? 0 : Math.min(0.25, (now - before) / 1000);
  before = now;
  if (state.playing && current) await advance(passed);
  requestAnimationFrame(tick);
}

async function advance(passed) {
  const steps = film.chapters[state.chapter].steps;
  if (state.step === steps) {
    state.waited += passed;
    if (state.waited < state.gap / (state.fast ? film.fast : 1)) return;
    state.waited = 0;
    if (state.chapter + 1 < film.chapters.length) await show(state.chapter + 1, 0);
    else setPlaying(false);
    return;
  }
  state.credit += passed * speed();
  const due = Math.floor(state.credit);
  state.credit -= due;
  if (due) await show(state.chapter, Math.min(state.step + due, steps));
}

function fillIndex() {
  const list = at("chapters");
  film.chapters.forEach((chapter) => {
    const link = element("a", "", chapter.subject || "(no subject)");
    link.href = `#${chapter.episode}:0`;
    link.title = chapter.subject;
    link.append(element("small", "", `${chapter.commit.slice(0, 8)} · ${chapter.steps.toLocaleString("en")} keys`));
    const item = element("li");
    item.append(link);
    list.append(item);
  });
  at("index").hidden = film.chapters.length < 2;
  at("filter").addEventListener("input", () => {
    const wanted = at("filter").value.toLowerCase();
    film.chapters.forEach((chapter, i) => {
      list.children[i].hidden = !(chapter.subject.toLowerCase().includes(wanted) || chapter.commit.startsWith(wanted));
    });
  });
}

// "#EPISODE:STEP" -> [chapter, step], or null where it names none.
function placeOf(hash) {
  const found = /^#(\d+)(?::(\d+))?$/.exec(hash);
  const chapter = found ? film.chapters.findIndex((each) => each.episode === Number(found[1])) : -1;
  return chapter < 0 ? null : [chapter, Number(found[2] || 0)];
}

function wire() {
  at("summary").textContent = `${film.chapters.length.toLocaleString("en")} ${film.chapters.length === 1 ? "commit" : "commits"}, `
    + `${total.toLocaleString("en")} keys, ${film.cols} × ${film.rows} cells`;
  const clicks = {
    play: " ", "previous-commit": "p", "previous-change": "C", back: ",", on: ".", "next-change": "c",
    "next-commit": "n", fast: "f", "help-button": "?",
  };
  for (const [id, key] of Object.entries(clicks)) at(id).addEventListener("click", () => commands[key]());
  at("seek").addEventListener("input", () => seek(state.chapter, Number(at("seek").value)));
  at("rate").addEventListener("change", () => { at("seconds").value = ""; state.gap = film.pause; setRate(Number(at("rate").value)); });
  at("theme").append(...["page", ...film.themes.map((theme) => theme.name)].map((name) => element("option", "", name)));
  at("theme").addEventListener("change", () => setTheme(at("theme").value));
  if (film.theme) {
    at("theme").value = film.theme;
    setTheme(film.theme);
  }
  at("seconds").addEventListener("change", () => fitIn(Number(at("seconds").value)));
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || at("help").open) return;
    const field = event.target.closest("input:not([type=range]), select");
    if (field || (event.target.closest("button, a") && event.key === " ")) return;
    if (!Object.hasOwn(commands, event.key)) return;
    event.preventDefault();
    commands[event.key]();
  });
  addEventListener("hashchange", (event) => {
    clearTimeout(telling); // the place that was to be told is the last one's
    const place = placeOf(new URL(event.newURL).hash);
    if (place) seek(...place);
  });
  addEventListener("resize", fitScreen);
  fitScreen();
}

// The screen's font: as large as the film's columns and rows may be in this window, within reason.
function fitScreen() {
  view.fit(at("screen").parentElement.clientWidth - 8, innerHeight - BESIDE, 5, 12);
}

// The screen's colours: the page's own, or those of a theme.
function setTheme(name) {
  const theme = film.themes.find((each) => each.name === name);
  const style = at("screen").style;
  const set = (variable, colour) => (theme ? style.setProperty(variable, colour) : style.removeProperty(variable));
  set("--screen-paper", theme?.paper);
  set("--screen-ink", theme?.ink);
  set("--screen-bold", theme?.bold);
  for (let hue = 1; hue < 8; hue++) set("--hue-" + hue, theme?.hues[hue]);
}

// The pace at which the film takes just these seconds, as pipeline/watch/pace.py has it; at most half are pauses.
function fitIn(seconds) {
  if (!(seconds > 0)) return;
  const gaps = film.chapters.length - 1;
  state.gap = gaps ? Math.min(film.pause, seconds / 2 / gaps) : film.pause;
  setRate(total / (seconds - gaps * state.gap));
}

async function start() {
  fillIndex();
  wire();
  setRate(film.rate);
  if (film.seconds) {
    at("seconds").value = film.seconds;
    fitIn(film.seconds);
  }
  const place = placeOf(location.hash);
  await show(...(place || [0, 0]));
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (!place && !still) setPlaying(true);
  requestAnimationFrame(tick);
}
start();
