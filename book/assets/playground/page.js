"use strict";
/* global PlaygroundData, PlaygroundModel */
/**
 * The page. What it shows follows from `dials`, `epoch`, `ends`, `rival` and
 * `stage` alone; `draw` shows it.
 */
(() => {
  const { freshScores, initialState, scores, step, START } = PlaygroundModel;
  const LAST = 300;
  const thirds = Array.from({ length: 13 }, (_, i) =>
    i % 3 ? `${i - 6}/3` : `${(i - 6) / 3}`,
  );
  const CHOICES = {
    scale: ["0.1", "0.2", "0.5", "1", "2", "5", "10"],
    slope: thirds,
    points: ["10", "20", "50", "100", "200", "500", "1000", "2000", "5000"],
    rate: ["0.003", "0.01", "0.03", "0.1", "0.3", "1", "3", "10", "30", "100"],
    optimizer: ["sgd", "momentum", "adam"],
  };
  const OPTAX = {
    sgd: ["sgd", ""],
    momentum: ["sgd", ", momentum=0.9"],
    adam: ["adam", ""],
  };
  const DEFAULTS = {
    key: "1",
    points: "1000",
    scale: "1",
    slope: "-1/3",
    rate: "0.3",
    optimizer: "sgd",
  };
  // The plane: x from -7 to 7, y from -3.5 to 3.5, 50 pixels to one of each.
  const RIGHT = 7;
  const TOP = 3.5;
  // Near the middle, so that both handles stay in view on a steep line.
  const HANDLE = 1.5;
  const across = (x) => 50 * (RIGHT + x);
  const down = (y) => 50 * (TOP - y);
  const pixel = (value) => String(Math.round(10 * value) / 10);

  const $ = (id) => /** @type {any} */ (document.getElementById(`play-${id}`));
  const show = (value, digits = 2) =>
    value.toFixed(digits).replace(/^-(?=0\.?0*$)/, "").replace("-", "\u2212");
  const percent = (share) => `${show(100 * share, 1)}\u202f%`;

  /** @type {Record<string, any>} */
  let dials = { ...DEFAULTS };
  let truth, dataset, limit, run;
  let epoch = 0;
  let ends = [0, 0]; // the height of your line at either handle
  let drawn = false; // whether you moved it
  /** @type {number[] | null} the ends of the line that a link brought */
  let rival = null;
  /** @type {"draw" | "judged" | "model"} what the plane is about */
  let stage = "draw";
  let timer = 0;
  let speech = 0;
  let spoken = 0;

  /** Your line as a rule: label 1 above it. */
  const rule = (/** @type {number[]} */ [left, right]) => ({
    w1: (left - right) / (2 * HANDLE),
    w2: 1,
    b: -(left + right) / 2,
  });

  function restart() {
    const factor = Number(dials.scale);
    const w1 = 6 - thirds.indexOf(dials.slope);
    truth = { w1: factor * w1, w2: factor * 3, b: factor * 0.1 };
    dataset = PlaygroundData.makeDataset(
      Number(dials.key),
      Number(dials.points),
      truth,
    );
    limit = freshScores(truth, truth);
    run = [measure(START, initialState())];
    epoch = 0;
  }

  function measure(params, state) {
    const own = scores(params, dataset);
    return { params, state, own, fresh: freshScores(params, truth) };
  }

  /** Train up to this epoch, unless that is done. */
  function reach(wanted) {
    while (run.length <= wanted) {
      const { params, state } = run[run.length - 1];
      const rate = Number(dials.rate);
      const next = step(dials.optimizer, rate, params, state, dataset);
      run.push(measure(next.params, next.state));
    }
    return run[wanted];
  }

  /** The first epoch that beats this accuracy, or -1. */
  function overtaken(accuracy) {
    for (let k = 0; k <= LAST; k++)
      if (reach(k).fresh.accuracy > accuracy) return k;
    return -1;
  }

  function address(more) {
    const changed = Object.entries({ ...dials, ...more }).filter(
      ([name, value]) => value !== DEFAULTS[name],
    );
    const hash = changed.map(([name, value]) => `${name}=${value}`).join("&");
    return `${location.href.split("#")[0]}#${hash || "epoch=0"}`;
  }

  /** A line in it, even an empty one, hides the true line. */
  function remember() {
    const line = rival ? rival.join(",") : stage === "draw" ? "" : null;
    const more = { ...(line !== null && { line }), ...(epoch && { epoch }) };
    history.replaceState(null, "", address(more));
  }

  /** Set everything as the address says; say what in it is unusable. */
  function read() {
    const [hash] = location.hash.slice(1).match(/.*=.*/) ?? [""];
    if (!hash && location.hash && run) return; // a heading's
    const { line, epoch: wanted = "0", ...asked } = Object.fromEntries(
      new URLSearchParams(hash),
    );
    const refused = [];
    stop();
    [dials, ends, rival, drawn] = [{ ...DEFAULTS }, [0, 0], null, false];
    for (const [name, value] of Object.entries(asked)) {
      if (name === "key" && isKey(value)) dials.key = String(Number(value));
      else if (CHOICES[name]?.includes(value)) dials[name] = value;
      else refused.push(`${name}=${value}`);
    }
    restart();
    if (line) {
      const given = line.split(",").map(Number);
      if (/\d,-?\d/.test(line) && given.every((end) => Math.abs(end) <= TOP))
        rival = given;
      else refused.push(`line=${line}`);
    }
    if (/^\d+$/.test(wanted) && Number(wanted) <= LAST)
      reach((epoch = Number(wanted)));
    else refused.push(`epoch=${wanted}`);
    const puzzle = hash === "" || rival || line === "";
    stage = puzzle ? "draw" : "model";
    draw();
    if (refused.length)
      say(`No such setting: ${refused.join(", ")}.`);
    else if (stage === "draw") invite();
    else report();
  }

  const isKey = (text) => /^\d{1,10}$/.test(text) && Number(text) < 2 ** 32;

  async function copy(button, link, what) {
    try {
      await navigator.clipboard.writeText(link);
      say(`Copied the link to ${what}.`);
      const text = button.textContent;
      if (text === "Copied") return;
      button.textContent = "Copied";
      window.setTimeout(() => (button.textContent = text), 2000);
    } catch {
      // From a folder there is no clipboard.
      say(`Copy this link to ${what}: ${link}`);
    }
  }

  /** Have it read aloud, if need be again, once all has settled. */
  function speak(text) {
    window.clearTimeout(speech);
    $("spoken").textContent = "";
    speech = window.setTimeout(() => ($("spoken").textContent = text), 400);
    spoken = Date.now();
  }

  function say(text) {
    $("status").textContent = text;
    speak(text);
  }

  const invite = () => say(`Play ends after ${LAST} epochs.`);

  function summary() {
    const { own, fresh } = run[epoch];
    return (
      `Epoch ${epoch}: right on ${percent(own.accuracy)} of these points, on ` +
      `${percent(fresh.accuracy)} of fresh ones; loss ${show(own.loss)} and ${show(fresh.loss)}.`
    );
  }

  const report = () => say(summary());

  function verdict() {
    if (stage === "draw")
      return $("verdict").dataset[rival ? "challenge" : "alone"];
    const [mine, theirs] = [ends, rival ?? ends].map(
      (line) => freshScores(rule(line), truth).accuracy,
    );
    const [score, best] = [theirs, limit.accuracy].map(percent);
    const winner = mine > theirs ? ": you win" : ": they win";
    const outcome = percent(mine) === score ? ": a draw" : winner;
    return [
      drawn &&
        `Your line is right on ${percent(mine)} of fresh points, new ones from the same recipe.`,
      rival && `The challenger's is right on ${score}${drawn ? outcome : ""}.`,
      `No rule exceeds ${best}: the labels are partly chance.`,
      !drawn
        ? "For a line of your own, ask for a new puzzle."
        : percent(mine) === best
          ? "None is better."
          : race(overtaken(mine)),
    ]
      .filter(Boolean)
      .join(" ");
  }

  function race(won) {
    if (won < 0) return `Gradient descent does not pass you in ${LAST} epochs.`;
    if (won) return `Gradient descent passes you in epoch ${won}.`;
    return "Gradient descent starts ahead.";
  }

  /** Both places where a line meets the plane's edge, or null. */
  function cut({ w1, w2, b }, inset = 0) {
    const size = w1 * w1 + w2 * w2;
    const [x, y] = [(-b * w1) / size, (-b * w2) / size];
    const sign = w2 < 0 ? -1 : 1;
    let [from, to] = [-Infinity, Infinity];
    for (const [place, along, edge] of [
      [x, sign * w2, RIGHT - inset],
      [y, -sign * w1, TOP - inset],
    ]) {
      const sides = [(-edge - place) / along, (edge - place) / along];
      from = Math.max(from, Math.min(...sides));
      to = Math.min(to, Math.max(...sides));
    }
    if (!(from < to)) return null;
    return [from, to].map((t) => [x + t * sign * w2, y - t * sign * w1]);
  }

  function drawLine(name, line, end, under = false) {
    const [path, text] = [$(name), $(`${name}-name`)];
    const places = line && cut(line);
    for (const part of [path, text])
      part.style.visibility = places ? "visible" : "hidden";
    if (!places) return;
    const at = ([x, y]) => `${pixel(across(x))} ${pixel(down(y))}`;
    path.setAttribute("d", `M${places.map(at).join("L")}`);
    const named = (cut(line, 0.35) ?? places)[end];
    const [x, y] = [across(named[0]), down(named[1])].map(pixel);
    const tilt = (Math.atan2(line.w1, Math.abs(line.w2)) * 180) / Math.PI;
    const angle = pixel(line.w2 < 0 ? -tilt : tilt);
    text.setAttribute("transform", `translate(${x} ${y}) rotate(${angle})`);
    text.setAttribute("dy", under ? "1.2em" : "-0.5em");
    text.setAttribute("text-anchor", end ? "end" : "start");
  }

  function drawPoints(line) {
    const paths = ["", "", "", ""];
    const { x, y, label } = dataset;
    for (let i = 0; i < x.length; i++) {
      const says = Number(line.w1 * x[i] + line.w2 * y[i] + line.b > 0);
      const wrong = stage !== "draw" && says !== label[i] ? 1 : 0;
      const at = `M${pixel(across(x[i]))} ${pixel(down(y[i]))}`;
      paths[2 * label[i] + wrong] += at + (label[i] ? "m0-4l4 7h-8z" : "h0");
    }
    ["right-0", "wrong-0", "right-1", "wrong-1"].forEach((name, i) =>
      $(name).setAttribute("d", paths[i]),
    );
    $("plane").classList.toggle("revealed", stage !== "draw");
    $("plane").classList.toggle("few", x.length <= 200);
  }

  /** The colours run along the weights, from logit -4 to logit 4. */
  function drawShade({ w1, w2, b }) {
    const size = w1 * w1 + w2 * w2 || 1e-9;
    [-4, 4].forEach((logit, i) => {
      const t = (logit - b) / size;
      $("shade").setAttribute(`x${i + 1}`, pixel(across(t * w1)));
      $("shade").setAttribute(`y${i + 1}`, pixel(down(t * w2)));
    });
  }

  function drawCurves() {
    const known = run.slice(0, epoch + 1);
    const horizon = epoch <= 100 ? 100 : LAST;
    const worst = Math.max(...known.flatMap((k) => [k.own.loss, k.fresh.loss]));
    const top = [1.2, 2, 4, 12, 40].find((edge) => worst <= edge) ?? 40;
    const height = (loss) => 185 - 170 * Math.min(loss / top, 1);
    const width = (k) => 40 + (650 * k) / horizon;
    for (const kind of ["own", "fresh"]) {
      const at = known.map(
        (k, i) => `${pixel(width(i))} ${pixel(height(k[kind].loss))}`,
      );
      $(`${kind}-curve`).setAttribute("d", `M${at.join("L")}`);
      $(`${kind}-dot`).setAttribute("d", `M${at[at.length - 1]}h0`);
    }
    const level = pixel(height(limit.loss));
    $("limit-curve").setAttribute("d", `M40 ${level}H690`);
    $("top").textContent = top;
    $("horizon").textContent = horizon;
  }

  function drawTable() {
    const { params, own, fresh } = run[epoch];
    const put = (id, text) =>
      ($(id).textContent = stage === "model" ? text : "?");
    $("epoch").textContent = `epoch ${epoch}`;
    [own, fresh, limit].forEach((column, i) => {
      put(`accuracy-${i}`, percent(column.accuracy));
      put(`loss-${i}`, show(column.loss));
    });
    for (const name of ["w1", "w2", "b"]) {
      put(`learned-${name}`, show(params[name]));
      put(`true-${name}`, show(truth[name]));
    }
  }

  function drawDials() {
    for (const [name, choices] of Object.entries(CHOICES)) {
      const at = choices.indexOf(dials[name]);
      const secret = name === "slope" && stage === "draw";
      const text = secret ? "?" : dials[name].replace("-", "\u2212");
      $(name).disabled = secret;
      $(name).value = name === "optimizer" ? dials[name] : secret ? 6 : at;
      if (name === "optimizer") continue;
      $(name).setAttribute("aria-valuetext", secret ? "hidden" : text);
      $(`${name}-value`).textContent = text;
    }
    $("key").value = dials.key;
    ["left", "right"].forEach((side, i) => {
      $(side).value = ends[i];
      $(side).setAttribute("aria-valuetext", show(ends[i]));
      $(`${side}-value`).textContent = show(ends[i]);
      $(`${side}-handle`).setAttribute("cx", across(i ? HANDLE : -HANDLE));
      $(`${side}-handle`).setAttribute("cy", pixel(down(ends[i])));
    });
    const w1 = 6 - thirds.indexOf(dials.slope);
    const [maker, more] = OPTAX[dials.optimizer];
    $("python").textContent = [
      stage === "draw"
        ? "line = ...  # hidden until you judge yours"
        : `line = Line(w1=${w1}.0, w2=3.0, b=0.1).scaled(${dials.scale})`,
      `key = jax.random.key(${dials.key})`,
      `dataset = make_dataset(key, n=${dials.points}, line=line)`,
      `optimizer = optax.${maker}(${dials.rate}${more})`,
      epoch
        ? `params, history = fit(loss_fn, BLOG_PARAMS, optimizer, dataset, ${epoch})`
        : "params = BLOG_PARAMS  # no epoch yet",
    ].join("\n");
  }

  /** Where a line runs and what lies on either side of it, in words. */
  function tell(name, line) {
    const places = cut(line);
    const { x, y, label } = dataset;
    const count = (side) => {
      const found = [0, 0];
      label.forEach((kind, i) => {
        const logit = line.w1 * x[i] + line.w2 * y[i] + line.b;
        found[kind] += Number(logit * line.w2 > 0 === side);
      });
      return `${found[0]} circles and ${found[1]} triangles`;
    };
    if (!places) return `${name} lies outside.`;
    const at = (xy) => `(${xy.map((v) => show(v, 1)).join(", ")})`;
    return (
      `${name} runs from ${places.map(at).join(" to ")}. Above it are ${count(true)}, ` +
      `below ${count(false)}; it says 1 ${line.w2 < 0 ? "below" : "above"}.`
    );
  }

  function describe() {
    const centre = (kind) => {
      const of = (column) => {
        const some = column.filter((_, i) => dataset.label[i] === kind);
        return show(some.reduce((a, b) => a + b, 0) / some.length, 1);
      };
      if (!dataset.label.includes(kind)) return "nowhere";
      return `around (${of(dataset.x)}, ${of(dataset.y)})`;
    };
    $("text").textContent = [
      `Label 0, circles, ${centre(0)}; label 1, triangles, ${centre(1)}.`,
      drawn || stage === "draw" ? tell("Your line", rule(ends)) : "",
      stage === "draw"
        ? "The true and the learned line are hidden."
        : tell("The true line", truth),
      stage !== "draw" && rival
        ? tell("The challenger's line", rule(rival))
        : "",
      stage === "model" ? tell("The learned line", run[epoch].params) : "",
    ]
      .filter(Boolean)
      .join(" ");
  }

  function draw() {
    const open = stage !== "draw";
    const model = stage === "model" && run[epoch].params;
    const yours = rule(ends);
    $("app").dataset.stage = stage;
    drawPoints(model || yours);
    drawShade(run[epoch].params);
    for (const name of ["learned-name", "learned-row"])
      $(name).textContent = epoch ? "learned" : "untrained";
    drawLine("truth", open && truth, 1);
    drawLine("learned", model, 0, model.w2 < 0);
    drawLine("rival", open && rival && rule(rival), 1, true);
    drawLine("yours", (drawn || !model) && yours, 0, true);
    for (const side of ["left", "right"])
      $(`${side}-handle`).style.visibility = $("yours").style.visibility;
    $("challenge").disabled = open && !drawn;
    drawCurves();
    drawTable();
    drawDials();
    describe();
    $("verdict").textContent = verdict();
    $("judge").textContent = open ? "New puzzle" : "Judge my line";
    $("judge").classList.toggle("primary", !open);
    $("play").classList.toggle("primary", open);
  }

  function advance(by) {
    stage = "model";
    epoch = Math.min(epoch + by, LAST);
    reach(epoch);
    draw();
    if (epoch === LAST) return pause();
    $("status").textContent = summary();
    const { accuracy, loss } = run[epoch].fresh;
    if (Date.now() - spoken > 5000)
      speak(`Epoch ${epoch}: ${percent(accuracy)} right, loss ${show(loss)}.`);
  }

  function play() {
    stage = "model";
    if (epoch === LAST) restart();
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const [by, wait] = calm ? [10, 1000] : [1, 50];
    timer = window.setInterval(() => advance(by), wait);
    $("play").textContent = "Pause";
    say("Training.");
    draw();
  }

  function stop() {
    window.clearInterval(timer);
    timer = 0;
    $("play").textContent = "Play";
  }

  function pause() {
    if (!timer) return;
    stop();
    report();
    remember();
  }

  /** A dial moved: the run begins anew, and goes on if it was playing. */
  function turn(name, value) {
    dials[name] = value;
    if (stage === "judged") stage = "model";
    restart();
    draw();
    if (stage === "draw") invite();
    else if (!timer) report();
  }

  const newKey = () => String(Math.floor(Math.random() * 10000));

  const ACTIONS = {
    play: () => (timer ? pause() : play()),
    step() {
      pause();
      advance(1);
      report();
      remember();
    },
    reset() {
      pause();
      restart();
      if (stage === "draw") [ends, drawn] = [[0, 0], false];
      else stage = "model";
      draw();
      if (stage === "model") report();
      remember();
    },
    fresh() {
      const reached = epoch;
      turn("key", newKey());
      if (!timer) reach((epoch = reached));
      draw();
      if (!timer && stage !== "draw") report();
      remember();
    },
    link: (button) => copy(button, address({ epoch }), "this run"),
    judge() {
      pause();
      if (stage === "draw") [stage, drawn] = ["judged", true];
      else {
        const slope = thirds[Math.floor(Math.random() * thirds.length)];
        dials = { ...dials, key: newKey(), slope };
        [ends, rival, drawn, stage] = [[0, 0], null, false, "draw"];
        restart();
        invite();
      }
      draw();
      speak(`${stage === "draw" ? "New points, from another line. " : ""}${verdict()}`);
      remember();
    },
    challenge: (button) =>
      copy(button, address({ line: ends.join(",") }), "your line, a challenge"),
  };

  function moveEnd(index, value) {
    ends[index] = Math.max(-TOP, Math.min(TOP, Math.round(20 * value) / 20));
    drawn = true;
    draw();
    speak(stage === "draw" ? tell("Your line", rule(ends)) : verdict());
  }

  /** Drag a handle: the other end of the line stays. */
  function drag(side, index) {
    const handle = $(`${side}-handle`);
    handle.addEventListener("pointerdown", (event) => {
      handle.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    // Or the page scrolls away under the thumb.
    handle.addEventListener("touchstart", (event) => event.preventDefault(), {
      passive: false,
    });
    handle.addEventListener("pointermove", (event) => {
      if (!handle.hasPointerCapture(event.pointerId)) return;
      const box = $("plane").getBoundingClientRect();
      moveEnd(
        index,
        TOP - (2 * TOP * (event.clientY - box.top)) / box.height,
      );
    });
  }

  /** Show the trial asked for, and bring the plane in view. */
  function showTrial(/** @type {any} */ { target }) {
    const link = target.closest('a[href^="#"][href*="="]');
    const trial = link?.closest("li");
    if (!link) return;
    if (trial) $("trial").replaceChildren(...trial.cloneNode(true).childNodes);
    $("trial").parentElement.hidden = false;
    $("app").scrollIntoView();
  }

  function start() {
    for (const [name, choices] of Object.entries(CHOICES))
      $(name).addEventListener("input", ({ target }) =>
        turn(name, name === "optimizer" ? target.value : choices[target.value]),
      );
    $("key").addEventListener("change", ({ target }) => {
      if (isKey(target.value)) return turn("key", String(Number(target.value)));
      say(`A key is a whole number from 0 to ${2 ** 32 - 1}.`);
      target.value = dials.key;
    });
    for (const [name, act] of Object.entries(ACTIONS))
      // The second click of two may meet what the first has put there.
      $(name).addEventListener("click", ({ detail }) => {
        if (name !== "judge" || detail < 2) act($(name));
      });
    ["left", "right"].forEach((side, index) => {
      $(side).addEventListener("input", ({ target }) =>
        moveEnd(index, Number(target.value)),
      );
      drag(side, index);
    });
    // Once a dial is let go: browsers refuse too many addresses a second.
    $("app").addEventListener("change", remember);
    window.addEventListener("hashchange", read);
    document.addEventListener("click", showTrial);
    read();
  }

  start();
})();
