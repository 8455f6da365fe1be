-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- What a program in Lua sees through lgi: nothing of ours but the typelib. It speaks TAP.

local lgi = require 'lgi'
local Evp = lgi.require ('Evp', '1.0')
local GLib, GObject, Gio = lgi.GLib, lgi.GObject, lgi.Gio

local tests = {}

local function test (name, func)
  table.insert (tests, { name = name, func = func })
end

local function equal (value, expected)
  if value ~= expected then
    error (tostring (value) .. ' is not ' .. tostring (expected), 2)
  end
end

-- what fails returns nothing and an error
local function fails (code, value, problem)
  if value or not problem then
    error ('it did not fail', 2)
  end
  if not problem:matches (Evp.Error, code) then
    error (tostring (problem) .. ' is not ' .. code, 2)
  end
end

local function int (value)
  return GObject.Value (GObject.Type.INT, value)
end

-- Rules: P-1
test ('policy', function ()
  local Policy = Evp.DefaultEventLoopPolicy:derive ('LuaPolicy', { Evp.AbstractEventLoopPolicy })
  local mine = Evp.SelectorEventLoop ()
  local asked = 0
  function Policy:do_get_event_loop ()
    asked = asked + 1
    return mine
  end

  -- the class has a table of its own: its parent is as it was
  local plain = Evp.DefaultEventLoopPolicy ()
  Evp.set_event_loop_policy (Policy ())
  equal (Evp.get_event_loop (), mine)
  equal (asked, 1)
  local other = plain:get_event_loop ()
  assert (other and other ~= mine)
  equal (asked, 1)

  -- what it does not override is its parent's
  local fresh = assert (Evp.new_event_loop ())
  assert (fresh ~= mine)
  for _, loop in ipairs { mine, other, fresh } do
    assert (loop:close ())
  end
  plain:set_event_loop (nil)
end)

test ('policy without a result', function ()
  local Policy = Evp.DefaultEventLoopPolicy:derive ('LuaEmptyPolicy', { Evp.AbstractEventLoopPolicy })
  function Policy:do_get_event_loop ()
    return nil
  end
  Evp.set_event_loop_policy (Policy ())
  fails ('FAILED', Evp.get_event_loop ())
end)

test ('callbacks and timers', function ()
  local loop = Evp.SelectorEventLoop ()
  local seen = {}
  local function note (what)
    return function () table.insert (seen, what) end
  end

  loop:call_soon (note 'soon')
  loop:call_soon (note 'never'):cancel ()
  local now = loop:time ()
  local timer = loop:call_at (now + 0.02, note 'second')
  loop:call_at (now + 0.01, note 'first')
  loop:call_later (0.03, function () loop:stop () end)
  assert (math.abs (timer:when () - now - 0.02) < 0.001) -- in nanoseconds inside
  assert (loop:run_forever ())
  equal (table.concat (seen, ' '), 'soon first second')
  assert (loop:close ())
  fails ('LOOP_CLOSED', loop:call_soon (note 'late'))
end)

test ('future', function ()
  local loop = Evp.SelectorEventLoop ()
  local future = loop:create_future ()
  local seen
  future:add_done_callback (function (done) seen = done:get_result ().value end)
  loop:call_soon (function () assert (future:set_result (int (42))) end)
  assert (loop:run_until_complete (future))
  equal (future:get_result ().value, 42)
  fails ('INVALID_STATE', future:set_result (int (43)))

  -- lgi 0.9.2 cannot pass a GLib.Error, so a future is cancelled rather than failed
  local given_up = loop:create_future ()
  assert (given_up:cancel ())
  fails ('CANCELLED', loop:run_until_complete (given_up))

  -- its callbacks are called through the loop
  loop:call_soon (function () loop:stop () end)
  loop:run_forever ()
  equal (seen, 42)
  assert (loop:close ())
end)

test ('child', function ()
  local loop = Evp.SelectorEventLoop ()
  Evp.set_event_loop (loop)
  local options = Evp.SubprocessOptions { stdout = 'PIPE' }
  local finished = loop:create_future ()
  local output, code

  loop:subprocess_shell_async ('echo from a child; exit 3', options, nil, function (_, result)
    local process = assert (loop:subprocess_shell_finish (result))
    process:communicate_async (nil, nil, function (_, communicated)
      local bytes = process:communicate_finish (communicated)
      output, code = bytes.data, process:get_returncode ()
      finished:set_result (int (0))
    end)
  end)
  assert (loop:run_until_complete (finished))
  equal (output, 'from a child\n')
  equal (code, 3)

  -- what cannot be started
  local failed = loop:create_future ()
  local problem
  loop:subprocess_exec_async ({ '/does/not/exist' }, nil, nil, function (_, result)
    _, problem = loop:subprocess_exec_finish (result)
    failed:set_result (int (0))
  end)
  assert (loop:run_until_complete (failed))
  assert (problem:matches (Gio.IOErrorEnum, 'NOT_FOUND'), tostring (problem))
  assert (loop:close ())
end)

print ('1..' .. #tests)
local failed = 0
for number, case in ipairs (tests) do
  local ok, problem = xpcall (case.func, debug.traceback)
  Evp.set_event_loop_policy (nil)
  collectgarbage ()
  if not ok then
    failed = failed + 1
    print ('# ' .. tostring (problem):gsub ('\n', '\n# '))
  end
  print ((ok and 'ok ' or 'not ok ') .. number .. ' - ' .. case.name)
end
os.exit (failed == 0, true)
