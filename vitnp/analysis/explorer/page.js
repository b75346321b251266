// The parts of the page, and what the reader can do with them.

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
    row(header("columnheader", ""), ...Array.from({length: HEADS + 1}, (_, h) => header("columnheader", h === MEAN ? "all" : h + 1)));
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
        // A letter may mean something else elsewhere, to a screen reader above all
        if (event.ctrlKey || event.metaKey || event.altKey || !find("#stages").matches(":hover, :focus-within")) return;
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
    strip.hidden = facts.pictures.length === 1;
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
