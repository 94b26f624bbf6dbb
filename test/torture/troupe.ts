/** The processes of the torture: started, counted, hit by signals, and in the end all gone. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { note, type Signal } from './ledger.js'
import type { Part, Role } from './part.js'

/** Whoever was asked to stop has this long: tasks take seconds at most. Milliseconds. */
const PATIENCE_MS = 90_000

/** The queues as they are reached through one mount. */
export type View = Pick<Part, 'queue' | 'intake'>

/** What all processes are told alike. */
type Base = Omit<Part, 'role' | 'name' | 'untilEmpty' | keyof View>

interface Player {
  readonly part: Part
  readonly child: ChildProcess
  readonly pid: number
  readonly ended: Promise<void>
  /** It hears SIGTERM; one that has only begun to load ends by it, as every program does. */
  isReady: boolean
  isStopped: boolean
  wasAsked: boolean
  wasKilled: boolean
}

export class Troupe {
  /** Sentences about processes that ended as they should not. */
  readonly violations: string[] = []
  readonly #base: Base
  readonly #views: readonly [View, ...View[]]
  readonly #log: number
  readonly #players = new Set<Player>()
  #started = 0

  /**
   * @param views processes are started on each in turn
   * @param log a file for what the processes print
   */
  constructor(base: Base, views: readonly [View, ...View[]], log: string) {
    this.#base = base
    this.#views = views
    this.#log = openSync(log, 'a')
  }

  /** How many processes were started. */
  get started(): number {
    return this.#started
  }

  start(role: Role, { untilEmpty = false } = {}): Player {
    const view = this.#views[this.#started % this.#views.length] ?? this.#views[0]
    const part: Part = { ...this.#base, ...view, role, name: String(this.#started++), untilEmpty }
    const child = fork(join(import.meta.dirname, 'play.js'), [JSON.stringify(part)], {
      stdio: ['ignore', this.#log, this.#log, 'ipc'],
    })
    if (child.pid === undefined) throw new Error(`Expected a process for ${role}, it could not be started`)
    const ended = once(child, 'exit').then(([code, signal]) => {
      this.#players.delete(player)
      const gracefully = code === 0 ? player.wasAsked || untilEmpty : signal === 'SIGTERM' && !player.isReady
      if (!gracefully && !player.wasKilled) this.violations.push(`a ${role} ended with ${code ?? signal}, unasked`)
    })
    const player: Player = {
      part,
      child,
      pid: child.pid,
      ended,
      isReady: false,
      isStopped: false,
      wasAsked: false,
      wasKilled: false,
    }
    child.once('message', () => {
      player.isReady = true
    })
    this.#players.add(player)
    return player
  }

  /** Starts what is missing for so many of each role; one that was asked to stop still counts. */
  fill(wanted: Readonly<Partial<Record<Role, number>>>): void {
    for (const [role, count = 0] of Object.entries(wanted) as [Role, number][]) {
      const running = [...this.#players].filter(({ part }) => part.role === role).length
      for (let missing = count - running; missing > 0; missing--) this.start(role)
    }
  }

  /** Hits one process, chosen with `random` (from 0 to 1). `SIGCONT` follows a stop when `resumeAfterMs` are over. False: nobody was there. */
  hit(signal: Signal, random: number, resumeAfterMs: number): boolean {
    const running = [...this.#players].filter(({ wasAsked, isStopped }) => !wasAsked && !isStopped)
    const player = running[Math.floor(random * running.length)]
    if (player === undefined) return false
    note(this.#base.ledger, signal, [player.part.role], player.pid)
    if (signal === 'SIGKILL') player.wasKilled = true
    if (signal === 'SIGTERM') this.#ask(player)
    else player.child.kill(signal)
    if (signal !== 'SIGSTOP') return true
    player.isStopped = true
    const resume = setTimeout(() => this.#resume(player), resumeAfterMs)
    void player.ended.then(() => clearTimeout(resume))
    return true
  }

  /** Asks all to stop and waits until they have. */
  async askAll(): Promise<void> {
    for (const player of this.#players) {
      this.#resume(player)
      if (!player.wasAsked) this.#ask(player)
    }
    await Promise.all([...this.#players].map(({ ended }) => ended))
  }

  /** Ends all at once; for the way out after an error. */
  async killAll(): Promise<void> {
    const players = [...this.#players]
    for (const player of players) {
      player.wasKilled = true
      player.child.kill('SIGKILL')
    }
    await Promise.all(players.map(({ ended }) => ended))
    closeSync(this.#log)
  }

  #ask(player: Player): void {
    player.wasAsked = true
    player.child.kill('SIGTERM')
    const late = setTimeout(() => {
      this.violations.push(`a ${player.part.role} was asked to stop and did not within ${PATIENCE_MS / 1000} s`)
      player.wasKilled = true
      player.child.kill('SIGKILL')
    }, PATIENCE_MS)
    void player.ended.then(() => clearTimeout(late))
  }

  #resume(player: Player): void {
    player.isStopped = false
    player.child.kill('SIGCONT')
  }
}
