/** Prints to the terminal: without control characters of payloads, and without an error when a reader such as `head` ends. */
import { counted } from '../text/counted.js'
import { printable, printableJson } from '../text/printable.js'

export { printable }

/** e.g. `1 task`, `2 tasks` */
export function countOf(tasks: number): string {
  return counted(tasks, 'task')
}

/** At most `width` characters, the last one `…` where some are left out. */
export function shortened(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`
}

/** As {@link shortened}, but of each id only the beginning is shown before anything is left out: `show` takes that too. */
export function fittedLine(text: string, width: number): string {
  const withShortIds = text.length <= width ? text : text.replace(/\b([\da-f]{8})-[\da-f]{4}-[\da-f-]{22}\b/g, '$1…')
  return shortened(withShortIds, width)
}

/** Writes a line to stdout; waits for a slow reader, but not for one that has ended. */
export async function printLine(line: string): Promise<void> {
  const { stdout } = process
  if (!stdout.write(`${line}\n`)) await drained(stdout)
}

/** Resolves when a stream takes more, or never will. */
export async function drained(stream: NodeJS.WriteStream): Promise<void> {
  if (stream.destroyed) return
  await new Promise<void>(resolve => {
    const go = () => {
      stream.off('drain', go).off('close', go)
      resolve()
    }
    stream.on('drain', go).on('close', go)
  })
}

/** Returns a function that writes a value to stdout as one line of lossless JSON. @param options.nan how NaN, an unknown number, is written */
export async function jsonPrinter(options: { nan?: 'bare' | 'null' } = {}): Promise<(value: unknown) => Promise<void>> {
  const { stringifyJson } = await import('../index.js')
  const { nan = 'bare' } = options
  return value => printLine(printableJson(stringifyJson(value, { nan })))
}

let endOfReader: () => void = () => process.exit()

/** Sets the handler for an ended reader of stdout. Default: the process exits without an error. */
export function onReaderGone(end: () => void): void {
  endOfReader = end
}

let onFailure: (error: Error) => void = error => {
  console.error(`ptq: the output can't be written: ${printable(error.message)}`)
  process.exit(1)
}

/** Sets the handler, called once, for a stdout that can't be written: a full disk, a closed terminal. Default: the command fails. */
export function onOutputFailure(handle: (error: Error) => void): void {
  let isHandled = false
  onFailure = error => {
    if (!isHandled) handle(error)
    isHandled = true
  }
}

/** Makes a reader that ends early (`ptq ls queue | head`) the end of the output, and not an error. */
export function endWithReader(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') endOfReader()
    else onFailure(error)
  })
  // There is nowhere left to report it.
  process.stderr.on('error', () => undefined)
}
