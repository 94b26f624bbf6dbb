// Commands that a payload can't make a worker run.
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { FunctionTask, TaskQueue } from 'ptq'
import { inFolder } from '../cli/run-cli.js'
import { drain, sh } from '../commands/commands.js'

test('a worker without commands runs none: they are not registered there', () =>
  inFolder(async cwd => {
    await using queue = new TaskQueue(`fq://${cwd}/q`)
    await queue.insert(sh(`touch ${cwd}/ran`))
    const reasons = await drain(queue, { commands: false, parallel: 1 })
    assert.match(
      reasons[0] ?? '',
      /^not registered: Expected function run of module ptq\.commands to be registered here/,
    )
    assert.equal(existsSync(join(cwd, 'ran')), false)
  }))

test('a worker with an allow-list runs only those programs, by their exact names', () =>
  inFolder(async cwd => {
    await using queue = new TaskQueue(`fq://${cwd}/q`)
    writeFileSync(join(cwd, 'true'), `#!/bin/sh\ntouch ${cwd}/ran\n`, { mode: 0o755 })
    const run = (...argv: string[]) => new FunctionTask(['ptq.commands', 'run'], [argv], { cwd })
    await queue.insert([run('true'), run('./true'), run(join(cwd, 'true')), run('sh', '-c', 'true'), sh('true')])
    const reasons = await drain(queue, { commands: { allow: ['true'] } })
    assert.equal(reasons.length, 4)
    for (const reason of reasons)
      assert.match(reason, /^not registered: Expected one of the programs that may run here \(true\), got /)
    assert.equal(existsSync(join(cwd, 'ran')), false)
  }))

test('a program is not looked up in the folder of its task, nor in a relative folder of PATH', t =>
  inFolder(async cwd => {
    const { PATH = '' } = process.env
    const folder = process.cwd()
    t.after(() => {
      process.env.PATH = PATH
      process.chdir(folder)
    })
    // The worker's own folder, too.
    process.chdir(cwd)
    process.env.PATH = `:.:bin:./bin:${PATH}:`
    mkdirSync(join(cwd, 'bin'))
    for (const path of ['probe', 'bin/probe']) {
      writeFileSync(join(cwd, path), `#!/bin/sh\ntouch ${cwd}/ran\n`, { mode: 0o755 })
    }
    await using queue = new TaskQueue(`fq://${cwd}/q`)
    await queue.insert(new FunctionTask(['ptq.commands', 'run'], [['probe']], { cwd }))
    const reasons = await drain(queue, { commands: { allow: ['probe'] } })
    assert.deepEqual([reasons.length, existsSync(join(cwd, 'ran'))], [1, false])
    assert.match(reasons[0] ?? '', /Expected a program on PATH, got probe/)
  }))

test('a link in place of the log folder is not followed: output is lost with a warning, the task runs', () =>
  inFolder(async cwd => {
    await using queue = new TaskQueue(`fq://${cwd}/q`)
    await queue.insert(sh(`echo out; touch ${cwd}/ran`))
    mkdirSync(join(cwd, 'elsewhere'))
    symlinkSync(join(cwd, 'elsewhere'), join(cwd, 'q/logs'))
    const warning = new Promise<Error>(resolve => process.once('warning', resolve))
    assert.deepEqual(await drain(queue), [])
    assert.match((await warning).message, /Output of commands can't be kept in .*, and is lost/)
    assert.deepEqual([readdirSync(join(cwd, 'elsewhere')), existsSync(join(cwd, 'ran'))], [[], true])
  }))
