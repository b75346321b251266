// What the reader has chosen, and how the page shows it.

const find = (selector, parent = document) => parent.querySelector(selector);
const form = find("#controls");
const dark = matchMedia("(prefers-color-scheme: dark)");
const hovers = matchMedia("(hover: hover)");
const MOST_SHOWN = 2;
const state = {
    query: "patch", patch: 0, held: false,          // who looks
    view: "attention", block: BLOCKS - 1, head: MEAN,
    shown: facts.pictures.map((_, i) => i).slice(0, MOST_SHOWN),
    read: null,                                     // the patch whose number is read
};
let numbers, palette, stages = [];

const ALL = Array.from({length: PATCHES}, (_, i) => FIRST + i);

function tokensThatLook() {
    return {patch: [FIRST + state.patch], class: [0], all: ALL}[state.query];
}

function nameOf(patch) {
    return `row ${Math.floor(patch / COLUMNS) + 1}, column ${patch % COLUMNS + 1}`;
}

function whoLooks() {
    if (state.query === "patch") return `Patch ${nameOf(state.patch)}`;
    return state.query === "class" ? "The class token" : "The mean of all patches";
}

const percent = share => `${(100 * share).toFixed(2)} %`;

function times(share, even) {
    const value = share / even;
    return `${value.toPrecision(value >= 100 ? 3 : 2)} times an even share`;
}

// The numbers of the map in a stage: one a patch, or null where there are none
function valuesOf(picture) {
    if (state.view === "rollout") return rolloutOf(picture, tokensThatLook());
    if (state.view === "positions")
        return state.query === "class" ? null : cosinesOf(numbers.cosines, tokensThatLook());
    return attentionOf(picture, state.block, state.head, tokensThatLook());
}

// One number of the map in words
function inWords(value) {
    if (state.view === "positions") return `cosine ${value.toFixed(2)}`;
    return `${percent(value)}, ${times(value, 1 / (state.view === "attention" ? TOKENS : PATCHES))}`;
}

function sentence(values) {
    if (values === null) return "The class token has no place in the picture, and so no position among these.";
    const order = [...values.keys()].filter(i => state.view !== "positions" || i !== state.patch);
    const most = order.reduce((a, b) => values[b] > values[a] ? b : a, order[0]);
    const where = state.head === MEAN ? "mean of the heads" : `head ${state.head + 1}`;
    const verb = {attention: `in block ${facts.blocks[state.block]}, ${where}, looks most at`,
                  rollout: "after all blocks holds most of",
                  positions: "has the position most like that of"}[state.view];
    const object = most === undefined ? "itself" : `${nameOf(most)}: ${inWords(values[most])}`;
    return `${whoLooks()} ${verb} ${object}.`;
}

// A new element of the page
function element(kind, className, text = "") {
    const made = document.createElement(kind);
    made.className = className;
    made.textContent = text;
    return made;
}

// Draw everything that depends on the state
function draw() {
    for (const stage of stages) drawStage(stage);
    find("#patch-name").textContent = `patch ${Math.floor(state.patch / COLUMNS) + 1}, ${state.patch % COLUMNS + 1}`;
    find("#block-name").textContent = `${facts.blocks[state.block]} of ${facts.depth}`;
    find("#head-name").textContent = state.head === MEAN ? "mean of all" : `${state.head + 1} of ${HEADS}`;
    form.query.value = state.query;
    form.view.value = state.view;
    form.block.value = state.block;
    form.head.value = state.head === MEAN ? 0 : state.head + 1;
    for (const slider of document.querySelectorAll(".slider"))
        slider.classList.toggle("idle", state.view !== "attention");
}

function drawStage(stage) {
    const tokens = valuesOf(stage.numbers);
    const values = tokens && tokens.subarray(tokens.length - PATCHES);
    const levels = values ? levelsOf(values, state.view) : new Float32Array(PATCHES).fill(0.5);
    stage.values = values;
    paint(find(".heat", stage.root), levels, palette);
    veil(find(".veil", stage.root), values ? levels : levels.fill(1));
    find(".sentence", stage.root).textContent = sentence(values);
    let reading = "";
    if (values && state.read !== null) reading = `To ${nameOf(state.read)}: ${inWords(values[state.read])}.`;
    else if (values && state.view === "attention" && FIRST) reading = `To the class token: ${percent(tokens[0])}.`;
    find(".reading output", stage.root).textContent = reading;
    for (const frame of stage.root.querySelectorAll(".asks")) place(frame, state.query === "patch" ? state.patch : null);
    for (const frame of stage.root.querySelectorAll(".reads")) place(frame, state.read);
    const hint = state.held && state.query === "patch" ? "held: click it to let go" : "click to hold a patch";
    find(".hint", stage.root).textContent = hovers.matches ? hint : "";
    drawScale(stage);
    drawHeads(stage);
}

function place(frame, patch) {
    frame.hidden = patch === null;
    if (patch === null) return;
    Object.assign(frame.style, {
        left: `${100 * (patch % COLUMNS) / COLUMNS}%`, top: `${100 * Math.floor(patch / COLUMNS) / ROWS}%`,
        width: `${100 / COLUMNS}%`, height: `${100 / ROWS}%`});
}

function drawScale(stage) {
    paint(find(".scale canvas", stage.root), Float32Array.from({length: 256}, (_, i) => i / 255), palette);
    const octaves = facts.octaves[state.view], far = 2 ** octaves, near = 2 ** (octaves / 2);
    const cosine = part => (LEAST + part * (1 - LEAST)).toFixed(2).replace("-", "−");
    const words = octaves ? [`≤ 1/${far}`, `1/${near}`, "even", `${near}×`, `≥ ${far}×`]
        : [cosine(0), cosine(0.25), `cosine ${cosine(0.5)}`, cosine(0.75), "1"];
    find(".ticks", stage.root).replaceChildren(...words.map((word, i) => {
        const tick = element("span", i % 2 ? "minor" : "", word);
        tick.style.left = `${25 * i}%`;
        return tick;
    }));
}

function drawHeads(stage) {
    const tokens = tokensThatLook();
    for (const cell of stage.cells) {
        const block = Number(cell.dataset.block), head = Number(cell.dataset.head);
        const levels = levelsOf(attentionOf(stage.numbers, block, head, tokens).subarray(FIRST), "attention");
        paint(cell, levels, palette);
        const chosen = block === state.block && head === state.head;
        cell.setAttribute("aria-selected", chosen);
        cell.tabIndex = chosen ? 0 : -1;
    }
}
