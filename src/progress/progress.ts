/** Progress on a terminal: a bar with rate and ETA where the total is known, a counter with the rate where it is not. */
import { createRequire } from 'node:module'
import type { Options, Params } from 'cli-progress'

/** A progress display under way. */
export interface Progress {
  /** That many more are done. Cheap enough to be called for each task. */
  add(n: number): void
  /** Draws the last state and gives the line and the timer back. Further calls do nothing. */
  stop(): void
}

/** At most ten redraws a second. */
const REDRAW_MS = 100

const SILENT: Progress = { add: () => undefined, stop: () => undefined }

/**
 * Starts a display on stderr; where stderr is no terminal, or with `enabled: false`, one that shows nothing. Its timer
 * keeps the process alive, so `stop()` has to be called in a `finally`.
 *
 * @param options.label what is counted, e.g. `tasks`
 * @param options.total how many there will be; `undefined` if that isn't known
 */
export function startProgress(options: { label: string; total: number | undefined; enabled: boolean }): Progress {
  const { label, total, enabled } = options
  if (!enabled || !process.stderr.isTTY) return SILENT

  // Loaded here, so that a run without a terminal never does; `require`, so that the first task finds the bar ready.
  const { Format, SingleBar } = createRequire(import.meta.url)('cli-progress') as typeof import('cli-progress')

  const startMs = performance.now()
  const format = (barOptions: Options, params: Params): string => {
    const seconds = (performance.now() - startMs) / 1000
    const rate = seconds > 0 ? params.value / seconds : 0
    const speed = `${rate >= 10 ? Math.round(rate) : rate.toFixed(1)}/s`
    // Whole seconds: the library rounds only those above 10.
    const time = (value: number) => Format.TimeFormat(Math.ceil(value), barOptions, 1)
    if (total === undefined) return `${label} ${params.value} | ${speed} | ${time(seconds)}`
    const left = Math.max(0, total - params.value)
    const eta = rate > 0 || left === 0 ? time(left === 0 ? 0 : left / rate) : '?'
    const percentage = Math.floor(params.progress * 100)
    const bar = Format.BarFormat(params.progress, barOptions)
    return `${label} [${bar}] ${percentage}% | ${params.value}/${total} | ${speed} | ETA ${eta}`
  }
  // The terminal's state is never changed (cursor hidden, wrapping off), so a signal can't leave it changed.
  const bar = new SingleBar({ format, stream: withoutCursorJumps(), barsize: 24, linewrap: true, hideCursor: false })
  bar.start(total ?? 0, 0)

  let done = 0
  let drawnMs = startMs
  return {
    add(n) {
      done += n
      const nowMs = performance.now()
      if (nowMs - drawnMs < REDRAW_MS) return
      drawnMs = nowMs
      bar.update(done)
    },
    stop() {
      bar.update(done)
      bar.stop()
    },
  }
}

/**
 * stderr without the escapes that save and restore the cursor: the library jumps back at the end to where it began, over
 * all that the tasks have printed meanwhile.
 */
function withoutCursorJumps(): NodeJS.WritableStream {
  const write = (text: string) => text === '\x1b7' || text === '\x1b8' || process.stderr.write(text)
  return Object.create(process.stderr, { write: { value: write } })
}
