/**
 * The one file that Piscina loads. Piscina tries `require` first and, where that gives no function, compiles an `import` from
 * a string. A CommonJS file is loaded by the first: so a loader that can `require` ES modules (tsx, Node 22) doesn't load
 * the thread's code twice, and threads start where `--disallow-code-generation-from-strings` is set.
 */
import type * as Thread from './thread.js' with { 'resolution-mode': 'import' }

const thread: Promise<typeof Thread> = import('./thread.js')
// Node keeps a failed import as long as the thread lives, so the thread ends with that error.
thread.catch((error: unknown) => {
  setImmediate(() => {
    throw error
  })
})

export = {
  run: async (message: Parameters<typeof Thread.run>[0]) => (await thread).run(message),
  insert: async (message: Parameters<typeof Thread.insert>[0]) => (await thread).insert(message),
}
