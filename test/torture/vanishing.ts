/** A folder that goes away in the middle of things, and comes back. */
import { existsSync, type FSWatcher, mkdirSync, readdirSync, renameSync, rmdirSync, watch } from 'node:fs'
import { join } from 'node:path'

/** Share of the changes in it. */
const OFTEN = 0.05

/** It is away for at most so long. */
const LONGEST_MS = 500

/** Renames a folder away at some of the changes in it, and back after a moment. */
export class VanishingFolder {
  readonly #path: string
  readonly #random: () => number
  #watcher: FSWatcher | undefined
  #timer: NodeJS.Timeout | undefined
  #times = 0
  #isAway = false
  #backMs = Number.NEGATIVE_INFINITY

  constructor(path: string, random: () => number) {
    this.#path = path
    this.#random = random
    this.#watch()
  }

  /** The number of times it was renamed away. */
  get times(): number {
    return this.#times
  }

  /** True if it was away at any time since then, by `performance.now()`. */
  wasAwaySince(ms: number): boolean {
    return this.#isAway || this.#backMs >= ms
  }

  /** It is there again, and stays. */
  stop(): void {
    this.#watcher?.close()
    clearTimeout(this.#timer)
    this.#bringBack()
  }

  #bringBack(): void {
    bringBack(this.#path)
    if (this.#isAway) this.#backMs = performance.now()
    this.#isAway = false
  }

  #watch(): void {
    this.#watcher = watch(this.#path, () => {
      if (this.#random() >= OFTEN) return
      this.#watcher?.close()
      renameSync(this.#path, awayOf(this.#path))
      this.#times++
      this.#isAway = true
      this.#timer = setTimeout(() => {
        this.#bringBack()
        this.#watch()
      }, this.#random() * LONGEST_MS)
    })
  }
}

function awayOf(path: string): string {
  return `${path}.away`
}

/** Files that were created in its place in the meantime stay, too. */
export function bringBack(path: string): void {
  const away = awayOf(path)
  if (!existsSync(away)) return
  mkdirSync(path, { recursive: true })
  for (const name of readdirSync(away)) renameSync(join(away, name), join(path, name))
  rmdirSync(away)
}
