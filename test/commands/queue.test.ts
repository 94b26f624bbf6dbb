// Commands through a queue: workers in this process, over a file queue of each test.
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { test } from 'node:test'
import { FunctionTask, TaskQueue } from 'ptq'
import { ended, inFolder, outputOf, runCli, startCli, until } from '../cli/run-cli.js'
import { drain, sh } from './commands.js'

async function outputOfTask(queue: TaskQueue, id: string): Promise<{ stdout: string; stderr: string }> {
  const texts = { stdout: '', stderr: '' }
  for await (const { stream, bytes } of queue.taskOutput(id)) texts[stream] += bytes.toString('latin1')
  return texts
}

test('50 commands of a worker are logged in two files, and each has its own output in them', () =>
  inFolder(async cwd => {
    await using queue = new TaskQueue(`fq://${cwd}/q`)
    await queue.insert(Array.from({ length: 50 }, (_, n) => sh(`echo out ${n}; echo err ${n} >&2; printf '\\377\\0'`)))
    const ids = new Map((await queue.list()).map(task => [task.id, /out (\d+)/.exec(task.payloadText)?.[1]]))
    assert.deepEqual(await drain(queue), [])
    assert.equal(readdirSync(join(cwd, 'q/logs')).length, 2)
    for (const [id, n] of [...ids].slice(0, 10)) {
      assert.deepEqual(await outputOfTask(queue, id), { stdout: `out ${n}\n\xff\0`, stderr: `err ${n}\n` })
    }
    await assert.rejects(outputOfTask(queue, 'ffffffff'), /There is no output of task ffffffff in /)
  }))

test('the reason of a failure has the exit code or signal, and the end of stderr', () =>
  inFolder(async cwd => {
    await using queue = new TaskQueue(`fq://${cwd}/q`)
    await queue.insert([
      sh('echo first >&2; echo last >&2; exit 3'),
      sh('kill -9 $$'),
      sh('sleep 600'),
      sh('true', join(cwd, 'nowhere')),
      new FunctionTask(['ptq.commands', 'run'], [['no-such-program']], {}),
      new FunctionTask(['ptq.commands', 'run'], [['']], {}),
      new FunctionTask(['ptq.commands', 'run'], ['ls -l'], {}),
      new FunctionTask(['ptq.commands', 'run'], [['ls']], { env: { LD_PRELOAD: 'x' } }),
      new FunctionTask(['tasks', 'other'], [], {}),
    ])
    const reasons = await drain(queue, { timeoutSeconds: 1 })
    assert.equal(reasons.length, 9)
    const expected = [
      /^CommandFailedError: exit code 2: .*nowhere/,
      /^CommandFailedError: exit code 3: first last$/,
      /^CommandFailedError: killed by SIGKILL \(exit code 137\)/,
      /^CommandTimeoutError: The command ran for longer than 1 s and was ended$/,
      /^Error: Expected a program on PATH, got an empty name/,
      /^Error: Expected a program on PATH, got no-such-program/,
      /^TypeError: Expected a command, an array of a program and its arguments/,
      /^TypeError: Expected a command \[program, …\] with \{ cwd \} at most, got env/,
      /^not registered: Expected a command: this worker runs nothing else/,
    ]
    for (const pattern of expected)
      assert.ok(
        reasons.some(reason => pattern.test(reason)),
        `${pattern} in\n${reasons.join('\n')}`,
      )
  }))

test('a command gets its folder, id, attempt, queue and slot', () =>
  inFolder(async cwd => {
    await using queue = new TaskQueue(`fq://${cwd}/q`)
    mkdirSync(join(cwd, "it's here"))
    await queue.insert(
      sh(
        'pwd; echo $PTQ_TASK_ID $PTQ_ATTEMPT $PTQ_QUEUE $PTQ_SLOT $PTQ_GPU $CUDA_VISIBLE_DEVICES',
        join(cwd, "it's here"),
      ),
    )
    const [task] = await queue.list()
    assert.ok(task !== undefined)
    assert.deepEqual(await drain(queue, { parallel: 1, commands: { slots: { gpu: ['3'] } } }), [])
    const { stdout } = await outputOfTask(queue, task.id)
    assert.match(stdout, new RegExp(`it's here\n${task.id} 1 fq://${cwd}/q 1 3 3\n$`))
  }))

test('a folder of a payload is one from the worker, whatever it is named, and changes no exit code of later commands', () =>
  inFolder(async cwd => {
    await using queue = new TaskQueue(`fq://${cwd}/q`)
    mkdirSync(join(cwd, 'sub'))
    const sub = relative(process.cwd(), join(cwd, 'sub'))
    await queue.insert(['-', '-P', sub, sub, '', `${cwd}\0`].map(folder => sh('pwd >&2; exit 7', folder)))
    const reasons = await drain(queue, { parallel: 1 })
    const failed = (folder: string) => `CommandFailedError: exit code 7: ${folder}`
    assert.deepEqual(
      reasons.map(reason => reason.replace(/(exit code 2: ).*/, '$1')),
      [
        // There are none of these names.
        'CommandFailedError: exit code 2: ',
        'CommandFailedError: exit code 2: ',
        failed(process.cwd()),
        failed(join(cwd, 'sub')),
        failed(join(cwd, 'sub')),
        'Error: Expected arguments and a folder without NUL characters, which no program can be given',
      ].sort(),
    )
  }))

test('output beyond the limit is dropped with a note, and the task succeeds', () =>
  inFolder(async cwd => {
    await using queue = new TaskQueue(`fq://${cwd}/q`)
    await queue.insert(sh('i=0; while [ $i -lt 200 ]; do printf %10000d 0; i=$((i+1)); done'))
    const [task] = await queue.list()
    assert.deepEqual(await drain(queue, { commands: { maxLogMb: 0.05 } }), [])
    assert.equal((await outputOfTask(queue, task?.id ?? '')).stdout.length, 50_000)
    const index = readdirSync(join(cwd, 'q/logs')).find(name => name.endsWith('.index')) ?? ''
    assert.match(
      readFileSync(join(cwd, 'q/logs', index), 'utf8'),
      /"exit code 0; 1950000 bytes of output were not kept"\]\n$/,
    )
  }))

test('purge removes the logs', () =>
  inFolder(async cwd => {
    await using queue = new TaskQueue(`fq://${cwd}/q`)
    await queue.insert(sh('echo out'))
    await drain(queue)
    await queue.purge()
    assert.equal(existsSync(join(cwd, 'q/logs')), false)
  }))

test('a queue without a folder requires a log folder', async () => {
  await using queue = new TaskQueue('mem://commands-without-logs')
  await assert.rejects(
    queue.poll({ commands: true }),
    /Expected `commands.logFolder`, a folder for what commands write/,
  )
  await assert.rejects(
    queue.poll({ commands: true, parallel: 0 }),
    /Expected `parallel` to be 1 or more with `commands`/,
  )
  await assert.rejects(
    queue.poll({ commands: { allow: 'ls' as never } }),
    /Expected `commands.allow` to be an array of programs/,
  )
  await assert.rejects(
    queue.poll({ commands: { slots: { gpu: ['0'] } }, parallel: 2 }),
    /Expected a value of gpu for each of the 2/,
  )
})

test('ptq run --queue, ptq poll --commands, ptq log: a running command is followed to its end', () =>
  inFolder(async cwd => {
    const inserted = await runCli(
      ['run', '--queue', 'q', '--shell', 'echo {}; until test -e go; do sleep 0.05; done; echo end', ':::', 'a b'],
      { cwd },
    )
    assert.deepEqual([inserted.code, inserted.stdout], [0, `Inserted 1 task into fq://${cwd}/q\n`])
    const worker = startCli(['poll', 'q', '--commands', '--until-empty', '--lease-sec', '5'], { cwd })
    const workerEnd = ended(worker)
    await until(() => existsSync(join(cwd, 'q/logs')))
    const { stdout } = await runCli(['ls', 'q', '--json'], { cwd })
    const { id } = JSON.parse(stdout) as { id: string }
    await until(async () => (await runCli(['log', 'q', id.slice(0, 8), '--no-follow'], { cwd })).stdout === 'a b\n')
    const reader = startCli(['log', 'q', id], { cwd })
    await outputOf(reader, 'a b\n')
    const readerEnd = ended(reader)
    writeFileSync(join(cwd, 'go'), '')
    assert.deepEqual(await readerEnd, { code: 0, stdout: 'end\n', stderr: '' })
    assert.equal((await workerEnd).code, 0)
  }))

test('a worker killed by SIGKILL leaves no command behind, and another worker runs it again', () =>
  inFolder(async cwd => {
    await runCli(
      [
        'run',
        '--queue',
        'q',
        '--shell',
        `trap '' TERM; test -e again || { echo $$ > pid; sleep 600 & wait; sleep 600; }; : {}`,
        ':::',
        'x',
      ],
      { cwd },
    )
    const worker = startCli(['poll', 'q', '--commands', '--lease-sec', '2'], { cwd })
    const end = ended(worker)
    await until(() => existsSync(join(cwd, 'pid')) && readFileSync(join(cwd, 'pid'), 'utf8').endsWith('\n'))
    const pid = Number(readFileSync(join(cwd, 'pid'), 'utf8'))
    worker.kill('SIGKILL')
    await end
    await until(() => {
      try {
        process.kill(-pid, 0)
        return false
      } catch {
        return true
      }
    })
    writeFileSync(join(cwd, 'again'), '')
    await using queue = new TaskQueue(`fq://${cwd}/q`)
    assert.deepEqual(await drain(queue, { maxAttempts: 5, maxBackoffSeconds: 1 }), [])
  }))

test('ptq run --queue --pack: each command of a message has its own output', () =>
  inFolder(async cwd => {
    const inputs = Array.from({ length: 25 }, (_, n) => `${n}`)
    const inserted = await runCli(['run', '--queue', 'q', '--pack', '10', 'echo', 'out', '{}', ':::', ...inputs], {
      cwd,
    })
    assert.deepEqual([inserted.code, inserted.stdout], [0, `Inserted 25 tasks into fq://${cwd}/q\n`])
    assert.equal(readdirSync(join(cwd, 'q/queue')).length, 3)
    await using queue = new TaskQueue(`fq://${cwd}/q`)
    const ids: string[] = []
    queue.events.on('succeeded', ({ task }) => ids.push(task.id))
    assert.deepEqual(await drain(queue), [])
    const outputs = await Promise.all(ids.map(async id => (await outputOfTask(queue, id)).stdout))
    assert.deepEqual(outputs.sort(), inputs.map(n => `out ${n}\n`).sort())
  }))

test('ptq run --queue and poll --commands refuse bad input', () =>
  inFolder(async cwd => {
    const cases: [string[], RegExp][] = [
      [
        ['run', '--queue', 'q', '--timeout-sec', '3', 'true', ':::', 'x'],
        /^ptq: Expected --timeout-sec without --queue/,
      ],
      [['run', '--queue', 'q', 'echo', '{%}', ':::', 'x'], /^ptq: Expected no \{%\} with --queue/],
      [['run', '--pack', '3', 'true', ':::', 'x'], /^ptq: Expected --pack with --queue only/],
      [['poll', 'q'], /^ptq: Missing option: --load, or --commands/],
      [['poll', 'q', '--load', 'x.js', '--allow', 'ls'], /^ptq: Expected --allow with --commands only/],
      [['poll', 'q', '--commands', '--allow', 'ls,'], /^ptq: Expected --allow to be programs/],
      [
        ['poll', 'q', '--commands', '--slots', 'gpu=0', '--processes', '2'],
        /^ptq: Expected --slots without --processes/,
      ],
    ]
    const results = await Promise.all(cases.map(([args]) => runCli(args, { cwd })))
    for (const [index, { code, stderr }] of results.entries()) {
      assert.equal(code, 2, stderr)
      assert.match(stderr, cases[index]?.[1] ?? /never/)
    }
    assert.deepEqual(readdirSync(cwd), [])
  }))
