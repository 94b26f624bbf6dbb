/** Tasks that report what reached them; imported by pool threads. */
import { appendFileSync } from 'node:fs'
import { queueable, RegisteredTask, registerTask } from 'ptq'

/** The arguments of a task: of each object its own keys, and whether its prototype is the usual one. */
export interface Found {
  readonly keys: readonly string[]
  readonly plain: boolean
  /** `polluted` of an object without that key. */
  readonly polluted: unknown
}

function look(value: unknown): Found {
  const fresh: { polluted?: unknown } = {}
  const object = Object(value)
  return {
    keys: Object.getOwnPropertyNames(object),
    plain: Object.getPrototypeOf(object) === Object.prototype,
    polluted: fresh.polluted ?? (Object(Array) as { polluted?: unknown }).polluted,
  }
}

export const lookAt = queueable(function lookAt(log: string, value: unknown, kwargs: unknown): void {
  appendFileSync(log, `${JSON.stringify([look(value), look(kwargs)])}\n`)
})

export class LookAtFields extends RegisteredTask<{ log: string; deep?: string }> {
  execute(): void {
    appendFileSync(this.args.log, `${JSON.stringify([look(this.args), look({ ...this.args })])}\n`)
  }
}
registerTask(LookAtFields)
