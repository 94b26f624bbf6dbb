/** Appends lines to a file, each whole: a line that does not fit on the disk is an error, and spoils no other line. */
import { closeSync, openSync, writeFileSync } from 'node:fs'

export class LineFile {
  readonly #file: number
  /** The last line may lack its end. */
  #isTorn: boolean

  /**
   * @param flags `w` replaces the file, `a` continues it
   * @param isTorn the file that is continued does not end with a line end. Default: it does
   */
  constructor(path: string, flags: 'w' | 'a', { isTorn = false } = {}) {
    this.#file = openSync(path, flags)
    this.#isTorn = isTorn
  }

  /** @throws Error where the line can't be written whole */
  add(line: string): void {
    const text = this.#isTorn ? `\n${line}\n` : `${line}\n`
    this.#isTorn = true
    // Not `writeSync`, which writes as much as there is room for.
    writeFileSync(this.#file, text)
    this.#isTorn = false
  }

  close(): void {
    closeSync(this.#file)
  }
}
