// What the reader chooses, and what follows from it.

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
                  positions: "has a position most like that of"}[state.view];
    const object = most === undefined ? "itself" : `${nameOf(most)}: ${inWords(values[most])}`;
    return `${whoLooks()} ${verb} ${object}.`;
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
    const hint = state.held ? "held: click it again to let go" : "click to hold a patch";
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
    const words = octaves ? [`≤ 1/${far}`, `1/${near}`, "even share", `${near}×`, `≥ ${far}×`]
        : ["−1", "−½", "cosine 0", "½", "1"];
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

// Build what is shown of one picture
function makeStage(i) {
    const root = find("#stage").content.firstElementChild.cloneNode(true);
    const picture = facts.pictures[i], stage = {root, numbers: numbers.pictures[i], cells: []};
    const [height, width] = facts.size;
    find("h2", root).textContent = picture.name;
    for (const panel of root.querySelectorAll(".panel")) panel.style.aspectRatio = `${width} / ${height}`;
    for (const canvas of root.querySelectorAll(".veil, .heat")) Object.assign(canvas, {width: COLUMNS, height: ROWS});
    const image = find("img", root), seen = find(".seen input", root);
    const showImage = () => {
        const blocky = seen.checked || !picture.fine;
        image.src = blocky ? picture.seen : picture.fine;
        image.classList.toggle("blocky", blocky);
    };
    seen.addEventListener("change", showImage);
    find(".seen", root).hidden = !picture.fine;
    showImage();
    drawMesh(find(".mesh", root));
    const kind = `${ROWS} by ${COLUMNS} patches`;
    find(".picture", root).setAttribute("aria-label", `${picture.name}, ${kind}. Arrow keys choose the patch that looks.`);
    find(".map", root).setAttribute("aria-label", `Map of ${picture.name}, ${kind}. Arrow keys read the number of a patch.`);
    find(".answers", root).hidden = !picture.predictions.length;
    find(".answers ol", root).replaceChildren(...picture.predictions.map(answer));
    makeHeads(stage);
    listen(stage);
    return stage;
}

function drawMesh(mesh) {
    const line = direction => `linear-gradient(to ${direction}, #fff 1px, transparent 1px)`;
    mesh.style.backgroundImage = `${line("right")}, ${line("bottom")}`;
    mesh.style.backgroundSize = `${100 / COLUMNS}% 100%, 100% ${100 / ROWS}%`;
}

function element(kind, className, text = "") {
    const made = document.createElement(kind);
    made.className = className;
    made.textContent = text;
    return made;
}

function answer([name, probability]) {
    const item = document.createElement("li"), track = element("div", "track"), bar = element("div", "");
    bar.style.width = `${100 * probability}%`;
    track.append(bar);
    const label = element("span", "name", name);
    label.title = name;
    item.append(label, track, element("span", "share", `${(100 * probability).toFixed(1)} %`));
    return item;
}

// All heads: a row of small maps for each block, the mean of the heads at its end
function makeHeads(stage) {
    const grid = find(".grid", stage.root), section = find(".heads", stage.root);
    find("h3", section).textContent = "All heads: a row for each block";
    grid.setAttribute("aria-label", "All heads, a row for each block. Arrow keys choose one.");
    grid.style.gridTemplateColumns = `max-content repeat(${HEADS + 1}, minmax(0, 84px))`;
    const row = (...cells) => {
        const made = element("div", "");
        made.setAttribute("role", "row");
        made.append(...cells);
        grid.append(made);
    };
    const header = (kind, text) => {
        const made = element("span", "", text);
        made.setAttribute("role", kind);
        return made;
    };
    row(header("columnheader", ""), ...Array.from({length: HEADS + 1}, (_, h) => header("columnheader", h === MEAN ? "mean" : h + 1)));
    for (let block = 0; block < BLOCKS; block++) {
        const cells = Array.from({length: HEADS + 1}, (_, head) => {
            const cell = Object.assign(document.createElement("canvas"), {width: COLUMNS, height: ROWS});
            cell.dataset.block = block;
            cell.dataset.head = head;
            cell.setAttribute("role", "gridcell");
            cell.setAttribute("aria-label", `block ${facts.blocks[block]}, ${head === MEAN ? "mean of the heads" : `head ${head + 1}`}`);
            cell.style.aspectRatio = `${facts.size[1]} / ${facts.size[0]}`;
            return cell;
        });
        stage.cells.push(...cells);
        row(header("rowheader", facts.blocks[block]), ...cells);
    }
}

function choose(changes) {
    Object.assign(state, changes);
    draw();
}

function patchAt(panel, event) {
    const box = panel.getBoundingClientRect();
    const along = (at, start, size, count) => Math.min(count - 1, Math.max(0, Math.floor((at - start) / size * count)));
    return along(event.clientY, box.top, box.height, ROWS) * COLUMNS + along(event.clientX, box.left, box.width, COLUMNS);
}

const STEPS = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]};

// The place that an arrow key leads to in a grid, or null for another key
function moved(place, key, rows, columns) {
    if (!(key in STEPS)) return null;
    const row = Math.floor(place / columns) + STEPS[key][0], column = place % columns + STEPS[key][1];
    const kept = (number, count) => Math.min(count - 1, Math.max(0, number));
    return kept(row, rows) * columns + kept(column, columns);
}

function listen(stage) {
    const picture = find(".picture", stage.root), map = find(".map", stage.root);
    let pressed = null;         // the patch that was held when the pointer came down
    const look = event => {
        const byTouch = event.pointerType !== "mouse";
        if (state.held && !byTouch) return;
        choose({query: "patch", patch: patchAt(picture, event), held: byTouch, read: null});
    };
    picture.addEventListener("pointermove", look);
    picture.addEventListener("pointerdown", event => {
        if (event.pointerType !== "mouse") return look(event);
        const patch = patchAt(picture, event), again = state.held && state.query === "patch" && patch === state.patch;
        choose({query: "patch", patch, held: !again});
    });
    picture.addEventListener("keydown", event => {
        const patch = moved(state.patch, event.key, ROWS, COLUMNS);
        if (patch === null) return;
        event.preventDefault();
        choose({query: "patch", patch, held: true, read: null});
    });
    for (const kind of ["pointermove", "pointerdown"])
        map.addEventListener(kind, event => choose({read: patchAt(map, event)}));
    map.addEventListener("pointerleave", event => { if (event.pointerType === "mouse") choose({read: null}); });
    map.addEventListener("keydown", event => {
        const patch = moved(state.read ?? state.patch, event.key, ROWS, COLUMNS);
        if (patch === null) return;
        event.preventDefault();
        choose({read: patch});
    });
    map.addEventListener("blur", () => choose({read: null}));
    const grid = find(".grid", stage.root);
    const take = cell => choose({view: "attention", block: Number(cell.dataset.block), head: Number(cell.dataset.head)});
    grid.addEventListener("click", event => { if (event.target.dataset.block) take(event.target); });
    grid.addEventListener("keydown", event => {
        const place = moved(state.block * (HEADS + 1) + state.head, event.key, BLOCKS, HEADS + 1);
        if (place === null) return;
        event.preventDefault();
        take(stage.cells[place]);
        stage.cells[place].focus();
    });
}

function listenToControls() {
    form.addEventListener("submit", event => event.preventDefault());
    form.addEventListener("input", event => {
        const {name, value} = event.target;
        if (name === "query") choose({query: value, held: true});
        if (name === "view") choose({view: value});
        if (name === "block") choose({view: "attention", block: Number(value)});
        if (name === "head") choose({view: "attention", head: value === "0" ? MEAN : Number(value) - 1});
    });
    document.addEventListener("keydown", event => {
        if (event.ctrlKey || event.metaKey || event.altKey) return;
        const step = event.shiftKey ? -1 : 1;
        const turned = (number, count) => (number + step + count) % count;
        const actions = {
            c: () => facts.classToken && choose({query: "class", held: true}),
            a: () => choose({query: "all", held: true}),
            b: () => choose({view: "attention", block: turned(state.block, BLOCKS)}),
            h: () => choose({view: "attention", head: turned(state.head, HEADS + 1)}),
            escape: () => choose({held: false, read: null}),
        };
        actions[event.key.toLowerCase()]?.();
    });
    dark.addEventListener("change", recolour);
}

function recolour() {
    palette = paletteOf(facts.colours[dark.matches ? "dark" : "light"]);
    draw();
}

// Show the chosen pictures
function showStages() {
    stages = state.shown.map(makeStage);
    const main = find("#stages");
    main.className = stages.length === 1 ? "one" : "two";
    main.replaceChildren(...stages.map(stage => stage.root));
    draw();
}

function makeStrip() {
    const strip = find("#strip");
    strip.hidden = facts.pictures.length <= MOST_SHOWN;
    const buttons = facts.pictures.map((picture, i) => {
        const button = document.createElement("button"), image = new Image();
        image.src = picture.fine ?? picture.seen;
        image.alt = picture.name;
        button.type = "button";
        button.title = picture.name;
        button.append(image);
        button.addEventListener("click", () => {
            const others = state.shown.filter(j => j !== i);
            if (others.length < state.shown.length) state.shown = others.length ? others : [i];
            else state.shown = [...state.shown.slice(1 - MOST_SHOWN), i];
            buttons.forEach((each, j) => each.setAttribute("aria-pressed", state.shown.includes(j)));
            showStages();
        });
        button.setAttribute("aria-pressed", state.shown.includes(i));
        return button;
    });
    strip.replaceChildren(...buttons);
}

async function start() {
    document.title = `Where the network looks: ${facts.title}`;
    find("#model").textContent = `${facts.title}: ${facts.depth} blocks of ${HEADS} heads, ${ROWS} × ${COLUMNS} patches`;
    if (!("DecompressionStream" in window))
        throw new Error("this browser is too old for it (it lacks DecompressionStream)");
    numbers = await readNumbers();
    state.patch = Math.floor((ROWS - 1) / 2) * COLUMNS + Math.floor((COLUMNS - 1) / 2);
    form.block.max = BLOCKS - 1;
    form.head.max = HEADS;
    find("#class-token").hidden = !facts.classToken;
    find("#position-view").hidden = !facts.positions;
    palette = paletteOf(facts.colours[dark.matches ? "dark" : "light"]);
    listenToControls();
    makeStrip();
    showStages();
    for (const part of [form, find("#help")]) part.hidden = false;
}

start().catch(error => {
    Object.assign(find("#problem"), {hidden: false, textContent: `This page cannot be shown: ${error.message}.`});
    throw error;
});
