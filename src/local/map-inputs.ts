/** The calls of one function with many inputs: `LocalTaskQueue.map`. */
import type { RegisteredCode } from '../tasks/registry.js'
import type { TaskInput } from '../tasks/task.js'
import { type Call, toCall } from '../threads/call.js'

/** Makes the calls; what they share is made once. @throws TypeError, UnregisteredTaskError for what is no function of tasks */
export function mapInputs(fn: unknown): {
  readonly code: RegisteredCode
  toCall(input: unknown, ordinal: number): Call
} {
  const shared = toCall([fn, [undefined]] as TaskInput, 0, 1)
  return {
    code: shared.code,
    toCall(input, ordinal) {
      const extra = [input]
      return { ...shared, task: [fn, extra], extra, idSuffix: ordinal }
    },
  }
}
