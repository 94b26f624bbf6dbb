/**
 * A shell that runs commands one after the other, each in the foreground: a fork of a small shell costs a fraction of
 * one of this process, and does not block this thread. Each shell leads a process group of its own, which a time-out
 * ends.
 *
 * ```text
 * fd 0  the commands, as lines of shell      fd 3  stdout of the commands
 * fd 1  exit codes, one a line               fd 4  stderr of the commands
 * ```
 *
 * After a command the shell writes a mark to 3 and 4, so that its output is known to be complete.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import type { Readable, Writable } from 'node:stream'
import type { OrphanWatchdog } from './orphan-watchdog.js'
import { endGroup } from './process-group.js'
import { singleQuoted } from './shell-quote.js'

/** A command, ready to be started. */
export interface Command {
  /** The path of the program. */
  readonly program: string
  /** Its arguments, without the program's own name. */
  readonly args: readonly string[]
  /** An absolute path: `cd` would read `-` and options otherwise, and go on from the folder of the command before. */
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  /** Gets the output as it comes. The chunk may be kept. Nothing more of the stream is read until a returned promise has settled. */
  onOutput(stream: OutputStream, chunk: Buffer): Promise<void> | undefined
}

/** The output stream of a command. */
export type OutputStream = 'stdout' | 'stderr'

const shellPath = '/bin/sh'

/** A separator that text has no use for, so that hardly ever a part of output has to be held back. */
const markStart = '\u001e'

export class SlotShell {
  readonly #process: ChildProcess
  readonly #script: Writable
  readonly #watchdog: OrphanWatchdog
  readonly #mark = markStart + randomBytes(12).toString('hex')
  readonly #exited: Promise<void>
  #running: RunningCommand | undefined
  #failure: Error | undefined
  #codeText = ''

  constructor(watchdog: OrphanWatchdog) {
    this.#watchdog = watchdog
    // Detached: a session and a process group of its own.
    const child = spawn(shellPath, [], { detached: true, stdio: ['pipe', 'pipe', 'ignore', 'pipe', 'pipe'] })
    this.#process = child
    const [script, codes, , stdout, stderr] = child.stdio
    this.#script = script as Writable
    // The `exit` event reports the end of the shell.
    this.#script.on('error', () => undefined)
    if (child.pid !== undefined) watchdog.watch(child.pid)
    this.#exited = new Promise(resolve => {
      child.once('error', error => {
        this.#end(
          new Error(`Expected ${shellPath} to start, which runs the commands: ${error.message}`, { cause: error }),
        )
        resolve()
      })
      child.once('exit', (code, signal) => {
        resolve()
        const error = new Error(`The shell that ran this command ended by ${signal ?? `exit code ${code}`}`)
        // The command itself may still run.
        if (this.#running !== undefined) void this.kill(error)
        else if (this.#failure === undefined) {
          this.#failure = error
          this.#release()
        }
      })
    })
    ;(codes as Readable).setEncoding('latin1').on('data', (text: string) => this.#onCodes(text))
    this.#read('stdout', stdout as Readable)
    this.#read('stderr', stderr as Readable)
  }

  /** True while it takes commands. */
  get usable(): boolean {
    return this.#failure === undefined
  }

  /** Runs a command to its end and resolves with its exit code, which is 128 + n for one that signal n ended. */
  run({ program, args, cwd, env, onOutput }: Command): Promise<number> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const settings = Object.entries(env).map(([name, value]) => `${name}=${singleQuoted(value)} `)
    const words = [program, ...args].map(singleQuoted).join(' ')
    const mark = singleQuoted(this.#mark)
    return new Promise((resolve, reject) => {
      this.#running = { onOutput, resolve, reject, left: new Set(['code', 'stdout', 'stderr']), code: 0 }
      this.#script.write(
        `cd ${singleQuoted(cwd)} 2>&4 && ${settings.join('')}${words} </dev/null >&3 2>&4 3>&- 4>&-\n` +
          `c=$?;printf %s ${mark} >&3;printf %s ${mark} >&4;echo $c\n`,
      )
    })
  }

  /** Ends the shell and all processes in its group: SIGTERM, then SIGKILL. Resolves when none is left. */
  async kill(reason: Error): Promise<void> {
    const running = this.#running
    this.#running = undefined
    this.#failure ??= reason
    const { pid } = this.#process
    if (pid !== undefined) await endGroup(pid)
    await this.#exited
    this.#release()
    running?.reject(reason)
  }

  /** Ends the shell, and a command that runs. What earlier ones left in the background continues. */
  async close(): Promise<void> {
    const reason = new Error('The run ended before this command did')
    if (this.#running !== undefined) return this.kill(reason)
    this.#failure ??= reason
    this.#script.end()
    await this.#exited
    this.#release()
  }

  #release(): void {
    if (this.#process.pid !== undefined) this.#watchdog.forget(this.#process.pid)
    // A process that left the group may keep the pipes open.
    for (const stream of this.#process.stdio) stream?.destroy()
  }

  #end(error: Error): void {
    this.#failure ??= error
    const running = this.#running
    this.#running = undefined
    running?.reject(error)
  }

  #onCodes(text: string): void {
    this.#codeText += text
    if (!this.#codeText.endsWith('\n')) return
    if (this.#running !== undefined) this.#running.code = Number(this.#codeText)
    this.#codeText = ''
    this.#done('code')
  }

  #read(stream: OutputStream, pipe: Readable): void {
    const mark = Buffer.from(this.#mark, 'latin1')
    let held: Buffer = Buffer.alloc(0)
    pipe.on('error', () => undefined)
    pipe.on('data', (chunk: Buffer) => {
      const bytes = held.length === 0 ? chunk : Buffer.concat([held, chunk])
      const at = bytes.indexOf(mark)
      const end = at >= 0 ? at : startOfPart(bytes, mark)
      // Output between two commands is from a process that one of them left behind.
      const written = end > 0 ? this.#running?.onOutput(stream, bytes.subarray(0, end)) : undefined
      if (written !== undefined) {
        pipe.pause()
        void written.finally(() => pipe.resume())
      }
      held = bytes.subarray(at >= 0 ? at + mark.length : end)
      if (at >= 0) this.#done(stream)
    })
  }

  #done(part: 'code' | OutputStream): void {
    const running = this.#running
    if (running === undefined) return
    running.left.delete(part)
    if (running.left.size > 0) return
    this.#running = undefined
    running.resolve(running.code)
  }
}

interface RunningCommand {
  readonly onOutput: Command['onOutput']
  readonly resolve: (code: number) => void
  readonly reject: (error: Error) => void
  /** The parts that have not ended yet. */
  readonly left: Set<'code' | OutputStream>
  code: number
}

/** The start of a part of the mark that the next chunk may complete; the length if there is none. */
function startOfPart(bytes: Buffer, mark: Buffer): number {
  for (let at = Math.max(0, bytes.length - mark.length + 1); at < bytes.length; at++) {
    if (mark.subarray(0, bytes.length - at).equals(bytes.subarray(at))) return at
  }
  return bytes.length
}
