/** The programs of a page of docs/, as files that run. */
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** The tests run from build/test. */
export const root = join(import.meta.dirname, '../..')

/**
 * Writes the blocks of a page that begin with `// name.ts` into a folder inside the project, so that `ptq` means the package
 * itself. /data is a folder in it.
 *
 * @param changes texts of the page, and what they are replaced by
 * @returns the folder
 */
export function writeBlocks(page: string, use: string, changes: Readonly<Record<string, string>> = {}): string {
  const folder = join(root, 'build/docs-run', `${page}-${use}`)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  let text = readFileSync(join(root, `docs/${page}.md`), 'utf8').replaceAll('fq:///data', `fq://${folder}/data`)
  for (const [old, changed] of Object.entries(changes)) {
    if (!text.includes(old)) throw new Error(`Expected ${old} in docs/${page}.md`)
    text = text.replaceAll(old, changed)
  }
  for (const [, code = ''] of text.matchAll(/^```ts\n(.*?)^```/gms)) {
    const name = /^\/\/ ([\w-]+\.ts)\n/.exec(code)?.[1]
    if (name !== undefined) writeFileSync(join(folder, name), code)
  }
  return folder
}

/** Starts a program that is written in TypeScript, as the pages do: with tsx. */
export function startProgram(folder: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const options = { cwd: folder, env: { ...process.env, NODE_NO_WARNINGS: '1', ...env, NODE_OPTIONS: '--import tsx' } }
  return spawn(process.execPath, args, options)
}

/** Collects what a program prints, on both streams. */
export class Output {
  text = ''
  readonly #child: ChildProcess
  readonly #ended: Promise<number | null>

  constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.text += text
        child.emit('printed')
      })
    }
    this.#ended = new Promise(resolve => child.once('close', resolve))
  }

  /** Resolves when the output matches. @throws Error if the program ends without a match */
  async until(wanted: RegExp): Promise<void> {
    const matches = new Promise<boolean>(resolve => {
      const look = () => {
        if (!wanted.test(this.text)) return
        this.#child.off('printed', look)
        resolve(true)
      }
      this.#child.on('printed', look)
      look()
    })
    const isThere = await Promise.race([matches, this.#ended.then(() => wanted.test(this.text))])
    if (!isThere) throw new Error(`Expected ${wanted} in the output, got ${this.text}`)
  }

  /** Resolves with the exit code. */
  end(): Promise<number | null> {
    return this.#ended
  }

  /** Ends the program like Ctrl-C, and resolves with its exit code. */
  interrupt(): Promise<number | null> {
    this.#child.kill('SIGINT')
    return this.#ended
  }
}
