// A second file that registers, on request, under names that registry.test.ts has used.
import { queueable, RegisteredTask, registerTask } from 'ptq'

export const registerAgain = {
  function: () =>
    queueable(
      function shared() {
        return 2
      },
      { module: 'registry.test' },
    ),
  class: () => {
    class Shared extends RegisteredTask {
      execute() {
        return 2
      }
    }
    return registerTask(Shared)
  },
  own: () =>
    queueable(function shared() {
      return 2
    }),
}
