/**
 * A filesystem with a fault in one call: the process dies there (that call and all later ones are refused), or the call
 * fails once. The fault comes before the call, after it, or, for a write, when half of the text is written.
 */
import type { FileCalls, FileSystem, FolderStream, WriteFlag } from '#ptq/backends/fq/file-system.js'
import { systemError } from '../fq/test-files.js'

export type Moment = 'before' | 'half' | 'after'

/** The fault at the `at`-th call, counted from 1. */
export interface Fault {
  readonly at: number
  readonly moment: Moment
  /** `dies`, or the code of a system error. */
  readonly kind: 'dies' | 'EIO' | 'ENOSPC' | 'EDQUOT' | 'ESTALE' | 'EACCES'
}

export class FaultyFiles {
  /** The calls that were made since it was armed, e.g. `rename /tmp/…`. */
  readonly calls: string[] = []
  readonly fileSystem: FileSystem
  readonly #fault: Fault | undefined
  readonly #open = new Set<FolderStream>()
  #armed = false
  #dead = false

  constructor(files: FileSystem, fault: Fault | undefined) {
    this.#fault = fault
    this.fileSystem = {
      blocking: this.#calls(files.blocking, (...call) => this.#make(...call)),
      pooled: this.#calls(files.pooled, async (...call) => this.#makeLater(...call)),
      writeSynced: async (path, text, flag) =>
        this.#makeLater(
          'writeSynced',
          path,
          () => files.writeSynced(path, text, flag),
          () => files.writeSynced(path, firstHalf(text), flag),
        ),
      syncFolder: async path => this.#makeLater('syncFolder', path, () => files.syncFolder(path)),
    }
  }

  /** Starts counting calls. */
  arm(): void {
    this.#armed = true
  }

  /** True once the call with the fault was reached. */
  get wasInjected(): boolean {
    return this.#fault !== undefined && this.calls.length >= this.#fault.at
  }

  /** Closes the folders that a dead process left open, as the system does. */
  async release(): Promise<void> {
    for (const stream of this.#open) await stream.close()
  }

  #calls(files: FileCalls, make: Make): FileCalls {
    return {
      rename: (from, to, how) => {
        const rename = () => files.rename(from, to, how)
        return make('rename', `${from} ${to}`, rename, undefined, how === 'hint') as boolean
      },
      unlink: (path, likelihood) => make('unlink', path, () => files.unlink(path, likelihood)) as boolean,
      read: (path, likelihood) => make('read', path, () => files.read(path, likelihood)) as string,
      write: (path, text, flag: WriteFlag) =>
        make(
          'write',
          path,
          () => files.write(path, text, flag),
          () => files.write(path, firstHalf(text), flag),
        ) as undefined,
      stat: path => make('stat', path, () => files.stat(path)) as Awaited<ReturnType<FileCalls['stat']>>,
      isLink: path => make('isLink', path, () => files.isLink(path)) as boolean,
      makeFolder: path => make('makeFolder', path, () => files.makeFolder(path)) as undefined,
      removeFolder: path => make('removeFolder', path, () => files.removeFolder(path)) as undefined,
      clockMs: path => make('clockMs', path, () => files.clockMs(path)) as number,
      openFolder: path => {
        const streamed = (stream: FolderStream | undefined): FolderStream | undefined => {
          if (stream === undefined) return undefined
          this.#open.add(stream)
          return {
            read: () => make('readFolder', path, () => stream.read()) as string[],
            close: () =>
              make('closeFolder', path, () => {
                this.#open.delete(stream)
                return stream.close()
              }) as undefined,
          }
        }
        return make('openFolder', path, () => {
          const opened = files.openFolder(path)
          return opened instanceof Promise ? opened.then(streamed) : streamed(opened)
        }) as FolderStream
      },
    }
  }

  #make(name: string, path: string, call: () => unknown, half?: () => unknown, isHint = false): unknown {
    const moment = this.#momentOf(name, path)
    if (moment === 'before' || moment === 'half') {
      if (moment === 'half') half?.()
      return this.#goWrong(name, path, isHint)
    }
    const result = call()
    return moment === 'after' ? this.#goWrong(name, path, isHint) : result
  }

  async #makeLater(
    name: string,
    path: string,
    call: () => unknown,
    half?: () => unknown,
    isHint = false,
  ): Promise<never> {
    const moment = this.#momentOf(name, path)
    if (moment === 'before' || moment === 'half') {
      if (moment === 'half') await half?.()
      return this.#goWrong(name, path, isHint) as never
    }
    const result = await call()
    return (moment === 'after' ? this.#goWrong(name, path, isHint) : result) as never
  }

  #momentOf(name: string, path: string): Moment | undefined {
    if (this.#dead) throw new Error(`a dead process calls ${name} ${path}`)
    if (!this.#armed) return undefined
    this.calls.push(`${name} ${path}`)
    return this.calls.length === this.#fault?.at ? this.#fault.moment : undefined
  }

  #goWrong(name: string, path: string, isHint: boolean): unknown {
    const kind = this.#fault?.kind ?? 'dies'
    if (kind === 'dies') {
      this.#dead = true
      throw new Error(`the process died at ${name} ${path}`)
    }
    // As the real filesystem behind this interface answers: the caller has other names to try.
    if (kind === 'ESTALE' && isHint) return false
    throw systemError(kind, path)
  }
}

type Make = (name: string, path: string, call: () => unknown, half?: () => unknown, isHint?: boolean) => unknown

function firstHalf(text: string): string {
  return text.slice(0, text.length >> 1)
}
