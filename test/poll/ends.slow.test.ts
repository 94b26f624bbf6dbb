// The end of a worker's process, and what remains: signals, threads that nothing stops, output that can't be written.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { describe } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { partial } from 'ptq'
import { printMuch, readFifo, rejectBeside, runShell, waitOn } from './ends-tasks.js'
import { onEach, type TestQueue } from './queues.js'

const cli = fileURLToPath(import.meta.resolve('#ptq/cli/main.js'))
const tasksFile = join(import.meta.dirname, 'ends-tasks.js')

/** On a file queue: the only kind that processes share. */
const onFiles = (name: string, run: (queue: TestQueue) => Promise<void>) => onEach(name, run, ['fq'])

function startWorker(queue: TestQueue, args: readonly string[], stdout: 'ignore' | number = 'ignore'): ChildProcess {
  return spawn(process.execPath, [cli, 'poll', queue.url, '--load', tasksFile, ...args], {
    stdio: ['ignore', stdout, 'pipe'],
  })
}

/** The exit and output of a process. */
async function endOf(child: ChildProcess): Promise<{ end: number | string | null; stderr: string }> {
  let stderr = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const [code, signal] = await once(child, 'close')
  return { end: code ?? signal, stderr }
}

/** A ledger in which a task records its start, and a FIFO without a writer. */
function place(queue: TestQueue): { ledger: string; fifo: string } {
  const fifo = join(queue.folder, 'fifo')
  assert.equal(spawnSync('mkfifo', [fifo]).status, 0)
  return { ledger: join(queue.folder, 'ledger'), fifo }
}

async function begun(ledger: string): Promise<void> {
  while (!existsSync(ledger)) await delay(5)
}

describe('signals that end a worker', { concurrency: 2 }, () => {
  for (const [signal, code] of [
    ['SIGHUP', 129],
    ['SIGUSR2', 140],
    ['SIGXCPU', 152],
    ['SIGALRM', 142],
  ] as const) {
    onFiles(`${signal} stops the worker like SIGTERM: exit code ${code}, no task stays leased`, async queue => {
      const tq = queue.open()
      const { ledger } = place(queue)
      await tq.insert([partial(waitOn, ledger), partial(waitOn, ledger)])
      const worker = startWorker(queue, ['--grace-sec', '0'])
      const ended = endOf(worker)
      await begun(ledger)
      worker.kill(signal)
      assert.equal((await ended).end, code)
      assert.equal((await tq.status()).leased, 0)
      for (const { attempt } of await tq.lease({ numTasks: 5 })) assert.equal(attempt, 1)
    })
  }

  onFiles('SIGQUIT exits at once: exit code 131, no task stays leased', async queue => {
    const tq = queue.open()
    const { ledger } = place(queue)
    await tq.insert(partial(waitOn, ledger))
    const worker = startWorker(queue, [])
    const ended = endOf(worker)
    await begun(ledger)
    worker.kill('SIGQUIT')
    assert.equal((await ended).end, 131)
    assert.equal((await tq.status()).leased, 0)
  })

  onFiles('a signal that the program handles itself is left to it', async queue => {
    const script = `
      import { TaskQueue } from 'ptq'
      process.on('SIGUSR2', () => process.send('mine'))
      const stop = new AbortController()
      process.once('message', () => stop.abort())
      const tq = new TaskQueue(${JSON.stringify(queue.url)})
      tq.events.on('idle', () => process.send('idle'))
      await tq.poll({ signal: stop.signal })
      await tq.close()
      process.disconnect()`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      cwd: import.meta.dirname,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    const ended = endOf(child)
    assert.deepEqual((await once(child, 'message'))[0], 'idle')
    child.kill('SIGUSR2')
    for (let [word] = await once(child, 'message'); word !== 'mine'; [word] = await once(child, 'message'));
    child.send('stop')
    assert.equal((await ended).end, 0)
  })
})

describe('a thread in a native call', { concurrency: 2 }, () => {
  for (const [name, task] of [
    ['reading a FIFO', readFifo],
    ['execSync', runShell],
  ] as const) {
    /** The rest of the task ends once the FIFO has had a writer. */
    const release = (fifo: string) => closeSync(openSync(fifo, 'r+'))

    onFiles(`${name}: a second signal exits at once, with its exit code and no task leased`, async queue => {
      const tq = queue.open()
      const { ledger, fifo } = place(queue)
      await tq.insert([partial(task, ledger, fifo), partial(task, ledger, fifo)])
      const worker = startWorker(queue, [])
      const ended = endOf(worker)
      await begun(ledger)
      const exited = once(worker, 'exit')
      // Two that come at once are one.
      while (worker.exitCode === null && worker.signalCode === null) {
        worker.kill('SIGTERM')
        await delay(50)
      }
      const [code] = await exited
      assert.equal(code, 143)
      assert.equal((await tq.status()).leased, 0)
      release(fifo)
      await ended
    })

    onFiles(`${name}: the process exits after the time-out and the end of the run`, async queue => {
      const tq = queue.open()
      const { ledger, fifo } = place(queue)
      await tq.insert(partial(task, ledger, fifo))
      const worker = startWorker(queue, ['--timeout-sec', '0.2', '--max-attempts', '1', '--until-empty'])
      const ended = endOf(worker)
      const [code] = await once(worker, 'exit')
      release(fifo)
      const { stderr } = await ended
      assert.equal(code, 1)
      assert.match(stderr, /A thread could not be stopped/)
      assert.equal((await tq.status()).enqueued, 0)
    })

    onFiles(`${name}: a program whose local run timed out exits by itself, with its exit code`, async queue => {
      const { ledger, fifo } = place(queue)
      const script = `
        import { LocalTaskQueue, partial } from 'ptq'
        import * as tasks from ${JSON.stringify(tasksFile)}
        const lq = new LocalTaskQueue({ parallel: 1, timeoutSeconds: 0.2, progress: false })
        await lq.insertAll([partial(tasks[${JSON.stringify(task === readFifo ? 'readFifo' : 'runShell')}], ${JSON.stringify(ledger)}, ${JSON.stringify(fifo)})]).catch(({ cause }) => console.log(cause.name))
        process.exitCode = 7
        process.on('exit', code => console.log('exit', code))`
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
        cwd: import.meta.dirname,
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      const ended = endOf(child)
      let stdout = ''
      child.stdout?.setEncoding('utf8').on('data', (text: string) => {
        stdout += text
      })
      const [code] = await once(child, 'exit')
      release(fifo)
      await ended
      assert.deepEqual([code, stdout], [7, 'TimeoutError\nexit 7\n'])
    })
  }
})

describe('an uncaught exception', { concurrency: 2 }, () => {
  onFiles('with parallel 0 an unhandled rejection fails the running task, and no task stays leased', async queue => {
    const tq = queue.open()
    const { ledger } = place(queue)
    await tq.insert(partial(rejectBeside, ledger))
    const { end, stderr } = await endOf(startWorker(queue, ['--parallel', '0', '--max-attempts', '1']))
    assert.equal(end, 1)
    assert.match(stderr, /nobody waits for this/)
    assert.equal((await tq.status()).enqueued, 0)
    const letter = (await tq.failures().next()).value ?? undefined
    assert.match(letter?.failures[0]?.reason ?? '', /rejection that was not handled.*nobody waits for this/)
  })
})

describe('output that cannot be written', { concurrency: 2 }, () => {
  for (const parallel of ['0', '1']) {
    onFiles(`on a full disk a worker continues and ends normally: parallel ${parallel}`, async queue => {
      const tq = queue.open()
      await tq.insert(Array.from({ length: 3 }, () => partial(printMuch)))
      const full = openSync('/dev/full', 'w')
      const { end, stderr } = await endOf(startWorker(queue, ['--parallel', parallel, '--until-empty'], full))
      closeSync(full)
      assert.equal(end, 0)
      assert.match(stderr, /the output can't be written \(ENOSPC.*working on/)
      assert.equal((await tq.status()).enqueued, 0)
    })
  }

  onFiles('a command that only prints fails', async queue => {
    await queue.open().insert(partial(printMuch))
    const full = openSync('/dev/full', 'w')
    const child = spawn(process.execPath, [cli, 'ls', queue.url], { stdio: ['ignore', full, 'pipe'] })
    const { end, stderr } = await endOf(child)
    closeSync(full)
    assert.equal(end, 1)
    assert.match(stderr, /^ptq: the output can't be written: ENOSPC/)
  })
})
