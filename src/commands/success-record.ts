/**
 * Which commands of a named run have succeeded: a line each in
 *
 * ```text
 * <state>/ptq/runs/<name>
 * ```
 *
 * `<state>` is `$XDG_STATE_HOME`, or `~/.local/state`. A command is identified by its words and its folder, so that
 * inputs may be added, left out, or reordered.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { LineFile } from './line-file.js'

export class SuccessRecord {
  readonly #file: LineFile
  /** Number of successes of each command: a run may contain it several times. */
  readonly #left = new Map<string, number>()

  /** @throws Error where the file can't be written */
  constructor(name: string) {
    const folder = join(process.env.XDG_STATE_HOME ?? join(homedir(), '.local/state'), 'ptq/runs')
    mkdirSync(folder, { recursive: true })
    const path = join(folder, encodeURIComponent(name))
    const text = existsSync(path) ? readFileSync(path, 'latin1') : ''
    // A line that a crash has cut off is no success; what follows it must not complete it.
    this.#file = new LineFile(path, 'a', { isTorn: text !== '' && !text.endsWith('\n') })
    for (const line of text.split('\n')) if (line !== '') this.#left.set(line, (this.#left.get(line) ?? 0) + 1)
  }

  /** True once for each time that the command has succeeded. */
  takeSuccess(key: string): boolean {
    const count = this.#left.get(key) ?? 0
    if (count > 0) this.#left.set(key, count - 1)
    return count > 0
  }

  add(key: string): void {
    this.#file.add(key)
  }

  close(): void {
    this.#file.close()
  }
}

/** The key of a command. */
export function commandKey(argv: readonly string[], cwd: string): string {
  return createHash('sha256')
    .update(JSON.stringify([cwd, argv]))
    .digest('base64url')
    .slice(0, 22)
}
