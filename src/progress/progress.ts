/** Progress on a terminal: a bar with rate and ETA where the total is known, a counter with the rate where it is not. */
import { duration } from '../terminal/duration.js'
import { StatusLine } from '../terminal/status-line.js'

/** A progress display. */
export interface Progress {
  /** Adds finished tasks. Cheap enough to be called for each task. */
  add(n: number): void
  /** Draws the last state and gives the line and the timer back. Further calls do nothing. */
  stop(): void
}

/** At most ten redraws a second. */
const redrawMs = 100

const barCharacters = 24

const silent: Progress = { add: () => undefined, stop: () => undefined }

/**
 * Starts a display on stderr; where stderr is no terminal, or with `enabled: false`, one that shows nothing. Its timer
 * keeps the process alive, so `stop()` has to be called in a `finally`.
 *
 * @param options.label what is counted, e.g. `tasks`
 * @param options.total how many there will be; `undefined` if that isn't known
 */
export function startProgress(options: { label: string; total: number | undefined; enabled: boolean }): Progress {
  const { label, total, enabled } = options
  const line = enabled ? StatusLine.open() : undefined
  if (line === undefined) return silent

  const startMs = performance.now()
  let done = 0
  let drawnMs = startMs
  let stopped = false
  const text = () => {
    const seconds = (performance.now() - startMs) / 1000
    return total === undefined ? counterText(label, done, seconds) : barText(label, done, total, seconds, line.width)
  }
  const draw = () => {
    drawnMs = performance.now()
    line.draw(text())
  }
  draw()
  const timer = setInterval(draw, redrawMs)
  return {
    add(n) {
      done += n
      // Tasks may leave the event loop no turn for the timer.
      if (!stopped && performance.now() - drawnMs >= redrawMs) draw()
    },
    stop() {
      if (stopped) return
      stopped = true
      clearInterval(timer)
      line.close(text())
    },
  }
}

function counterText(label: string, done: number, seconds: number): string {
  return `${label} ${done} | ${rateText(done, seconds)} | ${duration(Math.ceil(seconds))}`
}

/** The parts that fit into `width`: counts and ETA first, then the bar, then percentage and rate. */
function barText(label: string, done: number, total: number, seconds: number, width: number): string {
  const left = Math.max(0, total - done)
  const rate = done / seconds
  const eta = left === 0 ? '0s' : rate > 0 ? duration(Math.ceil(left / rate)) : '?'
  const fraction = total > 0 ? Math.min(1, done / total) : 1
  const filled = Math.round(fraction * barCharacters)
  const bar = `[${'='.repeat(filled)}${'-'.repeat(barCharacters - filled)}]`
  const counts = `${done}/${total}`
  const whole = [`${label} ${bar} ${Math.floor(fraction * 100)}%`, counts, rateText(done, seconds), `ETA ${eta}`]
  const shorter = [
    whole,
    [`${label} ${counts}`, `${Math.floor(fraction * 100)}%`, rateText(done, seconds), `ETA ${eta}`],
    [`${label} ${counts}`, `ETA ${eta}`],
    [counts, `ETA ${eta}`],
  ].map(parts => parts.join(' | '))
  return shorter.find(text => text.length <= width) ?? counts
}

function rateText(done: number, seconds: number): string {
  const rate = seconds > 0 ? done / seconds : 0
  return `${rate >= 10 ? Math.round(rate) : rate.toFixed(1)}/s`
}
