import { test } from 'node:test'
import { fileGrounds } from './grounds.js'
import { tortureForAMinute } from './minute.js'

test('a minute of kills on file queues with Python inserters and workers loses nothing', t =>
  tortureForAMinute(t, (folder, _seed, elsewhere) => fileGrounds([folder], elsewhere, { python: true })))
