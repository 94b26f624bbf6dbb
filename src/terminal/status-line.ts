/**
 * A line on stderr that is redrawn while work continues. Other output of the process to the terminal, and that of its
 * threads, appears above it: the line is erased first, and drawn again by the next `draw`.
 *
 * The terminal's modes are never changed (cursor hidden, wrapping off), so a killed process leaves none changed.
 */

/** Erases the line that the cursor is in, and goes to its beginning. */
const erase = '\u001b[2K\u001b[G'

const defaultColumns = 80

type Write = NodeJS.WriteStream['write']

/** Open lines, the newest last: that one is shown. */
const lines: StatusLine[] = []
/** The line on the terminal now, or `undefined`. */
let shown: string | undefined
/** True after text without a line end was printed: a status line would be appended to it. */
let isMidLine = false
let restore: (() => void) | undefined

export class StatusLine {
  /** Begins a line; `undefined` where stderr is no terminal. Give it back with `close`. */
  static open(): StatusLine | undefined {
    if (!process.stderr.isTTY) return undefined
    const line = new StatusLine()
    lines.push(line)
    restore ??= intercept()
    return line
  }

  /** The number of characters that fit; 80 if the terminal reports none, or 0. */
  get width(): number {
    return (process.stderr.columns || defaultColumns) - 1
  }

  /** Shows `text`, cut to the width, unless a newer line is shown or other output ends in an unfinished line. */
  draw(text: string): void {
    if (lines.at(-1) !== this || isMidLine) return
    const fitting = text.length <= this.width ? text : `${text.slice(0, this.width - 1)}…`
    if (fitting === shown) return
    const before = shown === undefined ? '' : erase
    shown = fitting
    writeRaw(before + fitting)
  }

  /** Ends the line: erased, or replaced by `last`. */
  close(last?: string): void {
    const place = lines.indexOf(this)
    if (place < 0) return
    if (last !== undefined) this.draw(last)
    lines.splice(place, 1)
    if (shown !== undefined) {
      writeRaw(last === undefined ? erase : '\n')
      shown = undefined
    }
    if (lines.length === 0) {
      restore?.()
      restore = undefined
    }
  }
}

let writeRaw: (text: string) => void = text => process.stderr.write(text)

/** Erases the line before anything is printed to the terminal. Returns what takes that back. */
function intercept(): () => void {
  const streams = [process.stdout, process.stderr].filter(stream => stream.isTTY)
  const undo = streams.map(stream => {
    const write = stream.write
    const own = Object.hasOwn(stream, 'write')
    if (stream === process.stderr) writeRaw = text => Reflect.apply(write, stream, [text])
    const intercepted = function (this: NodeJS.WriteStream, ...args: Parameters<Write>) {
      if (shown !== undefined) {
        shown = undefined
        writeRaw(erase)
      }
      const [chunk] = args
      if (chunk.length > 0) isMidLine = !(typeof chunk === 'string' ? chunk.endsWith('\n') : chunk.at(-1) === 0x0a)
      return Reflect.apply(write, this, args)
    } as Write
    stream.write = intercepted
    return () => {
      // Other code has wrapped this function since: its wrapper stays.
      if (stream.write !== intercepted) return
      if (own) stream.write = write
      else Reflect.deleteProperty(stream, 'write')
    }
  })
  return () => {
    for (const each of undo) each()
    isMidLine = false
    writeRaw = text => process.stderr.write(text)
  }
}
