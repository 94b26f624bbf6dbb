/**
 * Journals of bulk inserts in local files, for queues that can't store them: a line is appended when a batch was
 * acknowledged. Batches that were in flight when the process died are inserted again under the same ids.
 *
 * ```text
 * <state>/ptq/uploads/<queue>/<name>/<run>.journal
 * ```
 *
 * `<state>` is `$XDG_STATE_HOME`, or `~/.local/state` (Windows: `%LOCALAPPDATA%`). `<run>` changes each time that the insert is
 * resumed: an earlier owner that is still alive finds its file gone.
 */
import { createHash, randomUUID } from 'node:crypto'
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Backend } from '../backend/backend.js'
import type { BatchFailure, Message } from '../backend/messages.js'
import { requireSameUpload } from '../backend/same-upload.js'
import type { UploadHead, UploadState, Uploads } from '../backend/uploads.js'
import { UploadGoneError } from '../errors/errors.js'
import { codeOf, nameAndMessageOf } from '../errors/thrown.js'
import { type Range, union, without } from '../tasks/ranges.js'

const extension = '.journal'

// An attempt fails if another process was faster; that one has the journal then.
const pausesMs = [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000]

// Not O_CREAT: a file that another process has renamed must not be created again.
const appendFlags = constants.O_WRONLY | constants.O_APPEND

/** A line of a journal; the first line is the head. */
type Line =
  | { readonly stored: readonly [start: number, end: number] }
  | { readonly counted: number }
  | { readonly finished: true }

export class JournalFiles implements Uploads {
  readonly #backend: Backend

  constructor(backend: Backend) {
    this.#backend = backend
  }

  /** @throws Error where a journal is needed and no name was given, or the insert of this name has other tasks */
  async begin(name: string | undefined, head: UploadHead): Promise<UploadState> {
    if (name === undefined)
      throw new Error('Expected a name: only an insert that can be resumed needs a journal in a file')
    const folder = join(journalFolder(this.#backend), name)
    for (const pauseMs of pausesMs) {
      if (pauseMs > 0) await sleep(pauseMs * Math.random())
      const found = journalsIn(folder)[0]
      const state = found === undefined ? create(folder, head) : takeUp(name, join(folder, found), head)
      if (state !== undefined) return state
    }
    throw new Error(
      `Expected a journal that can be taken up in ${folder}, or none, ${pausesMs.length} times. Either other processes take ` +
        'this upload up all the time (one at a time continues an upload: end the others), or something else is in the ' +
        'folder: remove it to begin this upload again.',
    )
  }

  async insert(
    run: string,
    start: number,
    messages: readonly Message[],
    options: { delaySeconds: number },
  ): Promise<readonly BatchFailure[]> {
    const failures = await this.#backend.insert(messages, options)
    const failed = union(failures.map(({ index }) => ({ start: start + index, end: start + index + 1 })))
    for (const range of without({ start, end: start + messages.length }, failed)) {
      append(run, { stored: [range.start, range.end] })
    }
    return failures
  }

  async settle(run: string, range: Range): Promise<Range[]> {
    const { stored } = parseJournal(run)
    return stored.filter(({ start, end }) => end > range.start && start < range.end)
  }

  async counted(run: string, count: number): Promise<void> {
    append(run, { counted: count })
  }

  async finish(run: string): Promise<void> {
    append(run, { finished: true })
  }
}

/**
 * Removes the journals of all bulk inserts into a queue that stores none itself. The folder is renamed first: a running insert
 * finds its journal gone and fails, and adds nothing to the removed folder.
 */
export function removeJournals(backend: Backend): void {
  if (backend.uploads !== undefined) return
  const folder = journalFolder(backend)
  const aside = `${folder}.${randomUUID()}`
  try {
    renameSync(folder, aside)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return
    throw error
  }
  rmSync(aside, { recursive: true, force: true })
}

/** One folder per queue: a name may be used for several queues. */
function journalFolder(backend: Backend): string {
  const { identity = backend.label } = backend
  const local = process.platform === 'win32' ? process.env.LOCALAPPDATA : undefined
  const state = process.env.XDG_STATE_HOME || local || join(homedir(), '.local', 'state')
  return join(state, 'ptq', 'uploads', createHash('sha256').update(identity).digest('hex').slice(0, 32))
}

function journalsIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter(name => name.endsWith(extension))
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return []
    throw error
  }
}

/** `undefined`: another process created one, or removed all. The folder appears with its journal in it, by a rename. */
function create(folder: string, head: UploadHead): UploadState | undefined {
  const run = `${randomUUID()}${extension}`
  const staged = join(dirname(folder), `~${randomUUID()}`)
  try {
    mkdirSync(staged, { recursive: true })
    writeFileSync(join(staged, run), `${JSON.stringify(head)}\n`)
    renameSync(staged, folder)
  } catch (error) {
    rmSync(staged, { recursive: true, force: true })
    // ENOENT: all journals were removed (purge) at the same time.
    if (['ENOTEMPTY', 'EEXIST', 'EPERM', 'ENOENT'].includes(codeOf(error) ?? '')) return undefined
    throw error
  }
  return { run: join(folder, run), head, stored: [], counted: 0, finished: false }
}

/** `undefined`: another process resumed it. */
function takeUp(name: string, path: string, head: UploadHead): UploadState | undefined {
  let state: UploadState
  try {
    state = parseJournal(path)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
  requireSameUpload(name, path, state.head, head)
  if (state.finished) return state
  const run = join(dirname(path), `${randomUUID()}${extension}`)
  try {
    renameSync(path, run)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
  // Read again: the earlier owner may have added lines before the rename.
  const { stored, counted, finished } = parseJournal(run)
  return { run, head: state.head, stored, counted, finished }
}

function parseJournal(path: string): UploadState {
  const [first = '', ...lines] = readFileSync(path, 'utf8').split('\n')
  const stored: Range[] = []
  let counted = 0
  let finished = false
  for (const text of lines) {
    const line = parseLine(text)
    if (line === undefined) continue
    if ('stored' in line) stored.push({ start: line.stored[0], end: line.stored[1] })
    else if ('counted' in line) counted = line.counted
    else finished = true
  }
  return { run: path, head: JSON.parse(first) as UploadHead, stored: union(stored), counted, finished }
}

/** `undefined` for the line of a process that died while it wrote. */
function parseLine(text: string): Line | undefined {
  try {
    return text === '' ? undefined : (JSON.parse(text) as Line)
  } catch {
    return undefined
  }
}

function append(run: string, line: Line): void {
  try {
    // Begins with a line end: the line before may have been cut off, as on a full disk.
    appendText(run, `\n${JSON.stringify(line)}\n`)
  } catch (cause) {
    const gone = codeOf(cause) === 'ENOENT'
    const why = gone ? 'another process took this upload up, or it was removed' : nameAndMessageOf(cause)
    const message = `Expected to note in ${run} what was inserted, but ${why}`
    throw gone ? new UploadGoneError(message, { cause }) : new Error(message, { cause })
  }
}

function appendText(path: string, text: string): void {
  const file = openSync(path, appendFlags)
  try {
    // Not `writeSync`, which writes as much as there is room for.
    writeFileSync(file, text)
  } finally {
    closeSync(file)
  }
}
