/** Journals of uploads into a queue in memory: they last as long as the queue. */
import { randomUUID } from 'node:crypto'
import type { BatchFailure, Message } from '../../backend/messages.js'
import { requireSameUpload } from '../../backend/same-upload.js'
import type { UploadHead, UploadState, Uploads } from '../../backend/uploads.js'
import { UploadGoneError } from '../../errors/errors.js'

interface Journal {
  readonly head: UploadHead
  readonly stored: { readonly start: number; readonly end: number }[]
  run: string
  counted: number
  finished: boolean
}

type Insert = (messages: readonly Message[], options: { delaySeconds: number }) => Promise<BatchFailure[]>

export class MemUploads implements Uploads {
  readonly #insert: Insert
  readonly #journals = new Map<string, Journal>()

  /** @param insert stores messages, all at once */
  constructor(insert: Insert) {
    this.#insert = insert
  }

  async begin(name: string | undefined, head: UploadHead): Promise<UploadState> {
    const key = name ?? `~${randomUUID()}`
    const journal = this.#journals.get(key) ?? { head, stored: [], run: '', counted: 0, finished: false }
    requireSameUpload(key, 'it (purge)', journal.head, head)
    journal.run = `${key}/${randomUUID()}`
    this.#journals.set(key, journal)
    return { ...journal, stored: [...journal.stored] }
  }

  async insert(
    run: string,
    start: number,
    messages: readonly Message[],
    options: { delaySeconds: number },
  ): Promise<BatchFailure[]> {
    const { stored } = this.#journal(run)
    const failures = await this.#insert(messages, options)
    stored.push({ start, end: start + messages.length })
    return failures
  }

  async settle(run: string, range: { readonly start: number; readonly end: number }) {
    return this.#journal(run).stored.filter(({ start, end }) => end > range.start && start < range.end)
  }

  async counted(run: string, count: number): Promise<void> {
    this.#journal(run).counted = count
  }

  async finish(run: string): Promise<void> {
    const journal = this.#journal(run)
    journal.finished = true
    journal.stored.length = 0
    if (run.startsWith('~')) this.#journals.delete(keyOf(run))
  }

  /** Forgets all uploads. */
  clear(): void {
    this.#journals.clear()
  }

  #journal(run: string): Journal {
    const journal = this.#journals.get(keyOf(run))
    if (journal?.run !== run) throw new UploadGoneError('Another process took this upload up, or the queue was purged')
    return journal
  }
}

function keyOf(run: string): string {
  return run.slice(0, run.indexOf('/'))
}
