import { test } from 'node:test'
import { fileFixture } from './fixtures.js'
import { shortTorture } from './short-torture.js'

test('a minute of kills on file queues with Python inserters and workers loses nothing', t =>
  shortTorture(t, (folder, _seed, elsewhere) => fileFixture([folder], elsewhere, { python: true })))
