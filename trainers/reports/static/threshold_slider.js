"use strict";

// The slider for the threshold: computes each image's box from its map and moves it.
//
// `boxFromMap` repeats keras_has.ops.boxes.boxes_from_maps: the map is enlarged bilinearly with
// half-pixel centres in float32; pixels above a fraction of its maximum form components of 8
// neighbours; the box is the tight one around the largest, ties broken by top, left, bottom, right.
(function () {
  const source = document.getElementById("threshold-data");
  const control = document.getElementById("threshold");
  if (!source || !control) { return; }
  const data = JSON.parse(source.textContent);
  const output = document.getElementById("threshold-output");
  document.documentElement.classList.remove("no-script");

  function decodeLevels(text) {
    const bytes = atob(text);
    const levels = new Uint8Array(bytes.length);
    for (let i = 0; i < bytes.length; i += 1) { levels[i] = bytes.charCodeAt(i); }
    return levels;
  }

  function interpolation(count, size) {
    const first = new Int32Array(size), next = new Int32Array(size);
    const share = new Float32Array(size);
    for (let i = 0; i < size; i += 1) {
      const at = Math.min(Math.max((i + 0.5) * count / size - 0.5, 0), count - 1);
      first[i] = Math.floor(at);
      next[i] = Math.min(first[i] + 1, count - 1);
      share[i] = at - first[i];
    }
    return {first: first, next: next, share: share};
  }

  function enlarge(map, height, width) {
    const levels = decodeLevels(map.levels);
    const values = new Float32Array(levels.length);
    for (let i = 0; i < levels.length; i += 1) {
      values[i] = map.low + levels[i] * (map.high - map.low) / 255;
    }
    const x = interpolation(map.width, width), y = interpolation(map.height, height);
    const pixels = new Float32Array(height * width);
    let largest = -Infinity;
    for (let row = 0; row < height; row += 1) {
      const above = y.first[row] * map.width, below = y.next[row] * map.width;
      for (let column = 0; column < width; column += 1) {
        const left = x.first[column], right = x.next[column], share = x.share[column];
        const upper = values[above + left] * (1 - share) + values[above + right] * share;
        const lower = values[below + left] * (1 - share) + values[below + right] * share;
        const value = upper * (1 - y.share[row]) + lower * y.share[row];
        pixels[row * width + column] = value;
        largest = Math.max(largest, pixels[row * width + column]);
      }
    }
    return {pixels: pixels, largest: largest, height: height, width: width};
  }

  function isBefore(box, other) {
    const order = [1, 0, 3, 2];
    for (const place of order) {
      if (box[place] !== other[place]) { return box[place] < other[place]; }
    }
    return false;
  }

  function boxFromMap(map, threshold) {
    const width = map.width, height = map.height, pixels = map.pixels;
    const cutoff = Math.max(Math.fround(Math.fround(threshold) * map.largest), 1.17549435e-38);
    const isAbove = new Uint8Array(pixels.length);
    for (let i = 0; i < pixels.length; i += 1) { isAbove[i] = pixels[i] > cutoff ? 1 : 0; }
    const waiting = new Int32Array(pixels.length);
    let best = null, most = 0;
    for (let start = 0; start < pixels.length; start += 1) {
      if (!isAbove[start]) { continue; }
      let count = 1, done = 0;
      const box = [width, height, 0, 0];
      isAbove[start] = 0;
      waiting[0] = start;
      while (done < count) {
        const place = waiting[done];
        done += 1;
        const row = Math.floor(place / width), column = place % width;
        box[0] = Math.min(box[0], column);
        box[1] = Math.min(box[1], row);
        box[2] = Math.max(box[2], column + 1);
        box[3] = Math.max(box[3], row + 1);
        const lastRow = Math.min(row + 1, height - 1);
        const lastColumn = Math.min(column + 1, width - 1);
        for (let r = Math.max(row - 1, 0); r <= lastRow; r += 1) {
          for (let c = Math.max(column - 1, 0); c <= lastColumn; c += 1) {
            if (isAbove[r * width + c]) {
              isAbove[r * width + c] = 0;
              waiting[count] = r * width + c;
              count += 1;
            }
          }
        }
      }
      if (count > most || (count === most && isBefore(box, best))) { best = box; most = count; }
    }
    return best;
  }

  function overlap(a, b) {
    const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
    const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
    if (width <= 0 || height <= 0) { return 0; }
    const common = width * height;
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common);
  }

  function scoreOfAllImages(run, threshold) {
    const at = run.thresholds, curve = run.curve;
    for (let i = 0; i < at.length; i += 1) {
      if (Math.abs(at[i] - threshold) < 1e-6) {
        return (100 * curve[i]).toFixed(1) + "% of all images";
      }
      if (i > 0 && at[i - 1] < threshold && threshold < at[i]) {
        const share = (threshold - at[i - 1]) / (at[i] - at[i - 1]);
        const value = curve[i - 1] * (1 - share) + curve[i] * share;
        return "about " + (100 * value).toFixed(1) + "% of all images (interpolated)";
      }
    }
    return at.length ? "not measured on all images at this threshold" : "";
  }

  const enlarged = {};
  function enlargedMap(run, index) {
    const key = run.key + "-" + index;
    if (!(key in enlarged)) {
      const map = data.tiles[index].maps[run.key];
      enlarged[key] = map ? enlarge(map, run.size[0], run.size[1]) : null;
    }
    return enlarged[key];
  }

  function showThreshold(threshold) {
    const state = {threshold: threshold, boxes: {}, hits: {}, boxed: 0};
    const sentences = [];
    state.boxed = data.tiles.filter(function (tile) { return tile.true_boxes.length; }).length;
    data.runs.forEach(function (run) {
      let hits = 0;
      state.boxes[run.key] = data.tiles.map(function (tile, index) {
        const map = enlargedMap(run, index);
        let box = map && boxFromMap(map, threshold);
        const group = document.querySelector('[data-box="' + run.key + "-" + index + '"]');
        const text = document.querySelector('[data-iou="' + run.key + "-" + index + '"]');
        let best = 0;
        if (box) {
          const down = tile.size[0] / run.size[0], across = tile.size[1] / run.size[1];
          box = [box[0] * across, box[1] * down, box[2] * across, box[3] * down];
          tile.true_boxes.forEach(function (other) { best = Math.max(best, overlap(box, other)); });
          group.querySelectorAll("rect").forEach(function (rectangle) {
            rectangle.setAttribute("x", box[0]);
            rectangle.setAttribute("y", box[1]);
            rectangle.setAttribute("width", box[2] - box[0]);
            rectangle.setAttribute("height", box[3] - box[1]);
          });
          group.removeAttribute("visibility");
        } else {
          group.setAttribute("visibility", "hidden");
        }
        if (text) { text.textContent = best.toFixed(2); }
        if (best > 0.5) { hits += 1; }
        return box;
      });
      state.hits[run.key] = hits;
      const all = scoreOfAllImages(run, threshold);
      if (state.boxed) {
        sentences.push(run.name + ": " + hits + " of the " + state.boxed + " images below" +
          (all ? ", " + all : ""));
      }
    });
    output.textContent = Math.round(100 * threshold) + "%. " +
      (sentences.length ? "GT-known Loc \u2014 " + sentences.join("; ") + "." : "");
    document.body.setAttribute("data-state", JSON.stringify(state));
  }

  // A link to a section does not change the threshold.
  function fromAddress(otherwise) {
    const found = location.hash.match(/^#threshold=([0-9.]+)$/);
    const requested = found ? Number(found[1]) : NaN;
    const value = requested > 0 && requested < 1 ? requested : otherwise;
    if (value === null) { return; }
    control.value = String(Math.round(100 * value));
    showThreshold(value);
  }

  let isWaiting = false;
  control.addEventListener("input", function () {
    if (isWaiting) { return; }
    isWaiting = true;
    // Deferred, so that dragging does not queue work for thresholds already passed.
    setTimeout(function () {
      isWaiting = false;
      const value = Number(control.value) / 100;
      showThreshold(value);
      try { history.replaceState(null, "", "#threshold=" + value); } catch (error) { /* forbidden for some files */ }
    }, 0);
  });
  window.addEventListener("hashchange", function () { fromAddress(null); });
  fromAddress(data.threshold);
})();
