-- This module is what the gateway decides while it serves: whose request it is, what of it is passed on, and where to.
-- nginx.conf calls it. Everything that it is told is in gateway.json, which is made of the typed routes and the login.
local balancer = require "ngx.balancer"
local cjson = require "cjson.safe"
local metrics = require "metrics"

local gateway = {}
local settings
local nameservers = {}
local addresses = {} -- by host: address and when it was learned, in each worker

-- Told in the access log: the error log would add the query of the request, and secrets are in it. The first words are
-- counted, so they are fixed: metrics.lua lists them.
local function complain(problem, ...)
    ngx.var.problem = table.concat({ problem, ... })
    metrics.count_problem(problem, ngx.var.service)
end

-- What fails in here is told there too, and its request is refused.
local function guarded(work)
    return function()
        local done, failure = pcall(work)
        if not done then
            complain("the gateway failed", ": ", tostring(failure))
            return ngx.exit(ngx.HTTP_INTERNAL_SERVER_ERROR)
        end
    end
end

local FRESH = 5 -- seconds for which an address is used without asking again
local STALE = 300 -- seconds for which the last address is used while the DNS does not answer
local LIFETIME = 300 -- seconds for which the token is valid that the service is handed
local TRY = 1.5 -- seconds for the head of one pod's answer, so that there is time to ask another
local PATIENCE = 5 -- seconds for the login's answer, the DNS and every try included, however it trickles
local KNOWN = 3600 -- seconds for which somebody's cookies are known, whom the login vouched for

local function set(list)
    local found = {}
    for _, value in ipairs(list) do
        found[value] = true
    end
    return found
end

-- The key of digests: nobody can find two cookies of one digest who does not know it.
local pepper

local function read(path, what)
    local file = assert(io.open(path))
    local text = assert(file:read(what))
    file:close()
    return text
end

-- Called once, with the folder of the settings: the routes by their paths, who administrates, how the login's own
-- cookies begin, and what it is asked, or else the one person that everyone is.
function gateway.configure(folder)
    local text = read(folder .. "/gateway.json", "*a")
    settings = assert(cjson.decode(text))
    metrics.configure(settings.routes, settings.login ~= nil, ngx.md5(text .. read(folder .. "/nginx.conf", "*a")))
    settings.administrators = set(settings.administrators)
    pepper = read("/dev/urandom", 32)
end

-- The pod's own resolv.conf names the DNS, so that no address is written down.
function gateway.start(resolv_conf)
    math.randomseed(ngx.now() * 1000 + ngx.worker.pid()) -- for the numbers of questions: a guessed one could be answered
    for line in io.lines(resolv_conf) do
        local host = line:match("^%s*nameserver%s+(%S+)")
        if host then
            local address, port = host:match("^(%d[%d.]*):(%d+)$")
            address = address or host
            nameservers[#nameservers + 1] = { address:find(":") and "[" .. address .. "]" or address, tonumber(port) or 53 }
        end
    end
    if #nameservers == 0 then
        error("no nameserver in " .. resolv_conf)
    end
end

-- DNS: one question, and the first address of the answer (RFC 1035). OpenResty's own resolver cannot be asked from
-- here for an address alone, and an address is what keeps connections to a service open.

local function question(id, host, kind)
    local name = host:gsub("([^.]+)%.?", function(label)
        return string.char(#label) .. label
    end)
    return string.char(math.floor(id / 256), id % 256, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0) .. name .. string.char(0, 0, kind, 0, 1)
end

local function number(text, at)
    local high, low = text:byte(at, at + 1)
    return high * 256 + low
end

local function after_name(text, at)
    while true do
        local length = text:byte(at)
        if length == 0 then
            return at + 1
        elseif length >= 192 then
            return at + 2
        end
        at = at + length + 1
    end
end

local function first_address(answer, id, kind)
    if #answer < 12 or number(answer, 1) ~= id or answer:byte(3) < 128 then
        return nil, "not an answer"
    end
    local code = answer:byte(4) % 16
    if code ~= 0 then
        return nil, "code " .. code
    end
    local at = after_name(answer, 13) + 4
    for _ = 1, number(answer, 7) do
        at = after_name(answer, at)
        local length = number(answer, at + 8)
        local data = answer:sub(at + 10, at + 9 + length)
        if number(answer, at) == kind and kind == 1 then
            return table.concat({ data:byte(1, 4) }, ".")
        elseif number(answer, at) == kind then
            local parts = {}
            for index = 1, 16, 2 do
                parts[#parts + 1] = string.format("%x", number(data, index))
            end
            return "[" .. table.concat(parts, ":") .. "]"
        end
        at = at + 10 + length
    end
    return nil, "no address"
end

local function ask(server, host, kind, deadline)
    local left = deadline - ngx.now()
    if left <= 0 then
        return nil, "timeout"
    end
    local socket = ngx.socket.udp()
    socket:settimeout(math.max(1, math.min(2, left) * 1000))
    local connected, failure = socket:setpeername(server[1], server[2])
    if not connected then
        return nil, failure
    end
    local id = math.random(0, 65535)
    local sent, not_sent = socket:send(question(id, host, kind))
    local answer, silent
    if sent then
        answer, silent = socket:receive(4096)
    end
    socket:close()
    if not answer then
        return nil, not_sent or silent
    end
    local read, address, reason = pcall(first_address, answer, id, kind)
    return read and address or nil, read and reason or "malformed"
end

local function look_up(host, deadline)
    local failure
    for _, server in ipairs(nameservers) do
        for _, kind in ipairs { 1, 28 } do
            local address
            address, failure = ask(server, host, kind, deadline)
            if address then
                return address
            end
        end
    end
    return nil, failure
end

local function learn(host, deadline)
    local address, failure = look_up(host, deadline)
    if address then
        addresses[host] = { address = address, at = ngx.now(), learned = ngx.now() }
    end
    return address, failure
end

local function refresh(premature, host)
    if not premature then
        learn(host, ngx.now() + PATIENCE)
    end
end

-- Only a request for a host that is not known waits for the DNS: the others use what is known while it is asked again.
local function address_of(host, deadline)
    local known = addresses[host]
    local now = ngx.now()
    if not known or now - known.learned >= STALE then
        return learn(host, deadline)
    end
    if now - known.at >= FRESH then
        known.at = now - FRESH + 1 -- the next question, if this one is not answered, in a second
        ngx.timer.at(0, refresh, host)
    end
    return known.address
end

-- Where a request goes. The upstream block of nginx.conf calls `balance` for each connection, and again when it fails
-- while there are tries: behind the one address of a Service is then another pod.
local function find(route)
    local address, failure = address_of(route.host, ngx.now() + PATIENCE)
    if not address then
        complain("no address", " for ", route.host, ": ", failure)
        return ngx.exit(ngx.HTTP_SERVICE_UNAVAILABLE)
    end
    ngx.ctx.address = address
end

function gateway.balance()
    local address, route = ngx.ctx.address, ngx.ctx.route
    if route.tries > 0 and not balancer.get_last_failure() then
        balancer.set_more_tries(route.tries)
    end
    local done, failure = balancer.set_current_peer(address, route.port)
    if not done then
        complain("cannot reach", " ", address, ": ", failure)
        return ngx.exit(ngx.HTTP_BAD_GATEWAY)
    end
end

-- What of a request is passed on. Whoever a client says it is, it is not taken at its word: in no spelling.
local FORBIDDEN = {
    "^authorization$", "^proxy%-authorization$", "^proxy$", "^forwarded", "^x%-forwarded", "^x%-real%-ip$",
    "^x%-client%-ip$", "^true%-client%-ip$", "^x%-auth", "^x%-access%-token$", "^x%-user", "^x%-email", "^x%-groups",
    "^x%-remote", "^remote%-", "^x%-webauth", "^x%-grafana", "^x%-original", "^x%-rewrite", "^x%-http%-method",
    "^x%-method%-override$", "^http2%-settings$",
}
local METHODS = { GET = true, HEAD = true, POST = true, PUT = true, PATCH = true, DELETE = true, OPTIONS = true }

local verdicts, judged = {}, 0 -- by name, since the same few names come with every request

local function forbidden(name)
    local verdict = verdicts[name]
    if verdict ~= nil then
        return verdict
    end
    local spelled = name:lower():gsub("_", "-")
    verdict = false
    for _, pattern in ipairs(FORBIDDEN) do
        verdict = verdict or spelled:find(pattern) ~= nil
    end
    if judged < 1000 then -- a client that invents names fills no memory
        verdicts[name], judged = verdict, judged + 1
    end
    return verdict
end

-- A browser says which page a request comes from; a program says nothing, and nobody's cookies are with it. Another
-- page may read what anyone may, but not act as the person who looks at it.
local SAFE = { GET = true, HEAD = true, OPTIONS = true }
local OUTSIDE = "from another site"

local function from_outside()
    if SAFE[ngx.var.request_method] and ngx.var.websocket == "" then
        return false
    end
    local headers = ngx.req.get_headers(100)
    local site = headers["sec-fetch-site"]
    if site and site ~= "same-origin" and site ~= "none" then
        return true
    end
    local port = (ngx.var.http_host or ""):match(":%d+$") or ""
    local origin = headers["origin"]
    return origin ~= nil and origin ~= ngx.var.forwarded_proto .. "://" .. ngx.var.host .. port
end

local function sanitize()
    local headers, failure = ngx.req.get_headers(100, true)
    if failure then -- more than 100: those beyond were not looked at
        return ngx.exit(431)
    end
    for name in pairs(headers) do
        if forbidden(name) then
            ngx.req.clear_header(name)
        end
    end
end

local function is_logins(cookie)
    return cookie:sub(1, #settings.cookie) == settings.cookie
end

-- The cookies of a service, without those of the login.
local function service_cookies()
    local kept = {}
    for pair in (ngx.var.http_cookie or ""):gmatch("[^;]+") do
        local cookie = pair:match("^%s*(.-)%s*$")
        if cookie ~= "" and not is_logins(cookie) then
            kept[#kept + 1] = cookie
        end
    end
    return table.concat(kept, "; ")
end

-- A service sets cookies of its own, and not the login's. A browser sends one without a name back as its value alone.
function gateway.keep_login()
    if ngx.req.http_version() == 0.9 then -- nginx would pass on what is no answer, as it is
        complain("its answer is not HTTP")
        ngx.status = ngx.HTTP_BAD_GATEWAY
        return ngx.exit(ngx.ERROR)
    end
    local sent = ngx.header.set_cookie
    if not sent or ngx.ctx.route.of_login then
        return
    end
    local kept = {}
    for _, cookie in ipairs(type(sent) == "table" and sent or { sent }) do
        if not is_logins(cookie:match("^[%s=]*(.*)$")) then
            kept[#kept + 1] = cookie
        end
    end
    ngx.header.set_cookie = kept
end

-- Whom the login vouched for, by a digest of the cookies that it was asked about: the whole question, as far as a client
-- makes it. For a few seconds it is not asked again. For longer, its people are only counted by who they are.
local people = ngx.shared.people

local function recall()
    local cookies, login = ngx.var.http_cookie, settings.login
    if not login or not cookies or not cookies:find(settings.cookie, 1, true) then
        return
    end
    local digest = ngx.hmac_sha1(pepper, cookies)
    ngx.ctx.digest = digest
    local said, asked = people:get(digest)
    if said then
        local email, subject, name = said:match("^(.-)\n(.-)\n(.*)$")
        local fresh = ngx.now() - asked < login.remembered
        ngx.ctx.known = { email = email, subject = subject, name = name, fresh = fresh }
        ngx.var.known = "p" .. email
    end
end

local function remember(who)
    if ngx.ctx.digest then
        local said = table.concat({ who.email, who.subject or "", who.name or "" }, "\n")
        people:set(ngx.ctx.digest, said, KNOWN, math.floor(ngx.ctx.asked))
    end
end

local function forget()
    if ngx.ctx.digest then
        people:delete(ngx.ctx.digest)
    end
end

-- Whether a client may ask once more at this route: by the time at which all that it has asked would be used up at the
-- route's rate (GCRA). Only what is counted makes it later.
local clients = ngx.shared.clients

local function allowed(route, client, counted)
    local rate = route.rate
    if not rate then
        return true
    end
    local key, now, each = route.counter .. client, ngx.now(), 1 / rate.per_second
    local used_up = math.max(clients:get(key) or now, now) + each
    if used_up - now > (rate.burst + 1) * each + 0.0005 then
        return false
    end
    if counted then
        clients:set(key, used_up, used_up - now + 1)
    end
    return true
end

-- The start of every route: refuse what can be read in two ways, forget what the client says it is, find the service.
gateway.pass = guarded(function()
    local route = settings.routes[ngx.var.route]
    ngx.ctx.route = route
    ngx.var.content_security_policy = route.content_security_policy
    recall()
    if ngx.var.ambiguous == "1" then
        return ngx.exit(ngx.HTTP_BAD_REQUEST)
    end
    if not METHODS[ngx.var.request_method] then
        return ngx.exit(ngx.HTTP_NOT_ALLOWED)
    end
    local proto = ngx.var.forwarded_proto -- nginx remembers it from here on; its header is forgotten
    if settings.https and proto ~= "https" then
        return ngx.redirect("https://" .. ngx.var.host .. ngx.var.request_uri, 308)
    end
    if route.authorization then -- for a service that asks itself; a second one is refused by nginx
        ngx.var.upstream_authorization = ngx.var.http_authorization
    end
    sanitize()
    if from_outside() then
        complain(OUTSIDE)
        return ngx.exit(ngx.HTTP_FORBIDDEN)
    end
    if route.of_login then
        ngx.var.upstream_cookie = ngx.var.http_cookie
    elseif route.cookies then
        ngx.var.upstream_cookie = service_cookies()
    end
    if route.websocket then
        ngx.var.passed_upgrade = ngx.var.websocket
        ngx.var.passed_connection = ngx.var.connection_upgrade
    end
    find(route)
end)

-- Whose request it is: the login is asked. Not by nginx's `auth_request`: it waits for as long as a byte comes now and
-- then. Here the whole answer has one deadline, and what is no plain answer lets nobody in.

-- The head of an answer, or why there is none.
local function receive_head(socket, deadline)
    local text = ""
    while true do
        local left = deadline - ngx.now()
        if left <= 0 or #text >= settings.head then
            return nil, left <= 0 and "timeout" or "a head that is longer than " .. settings.head .. " bytes"
        end
        socket:settimeout(math.max(1, left * 1000))
        local data, failure = socket:receiveany(settings.head - #text)
        if not data then
            return nil, failure
        end
        text = text .. data
        local last = text:find("\r\n\r\n", 1, true)
        if last then
            return text:sub(1, last + 1)
        end
    end
end

-- The status and the headers of an answer (RFC 9112). A header that comes twice has both values, and is then no address.
local function parse(head)
    local status, fields = head:match("^HTTP/1%.1 (%d%d%d) [^%c]*\r\n(.*)$")
    if not status then
        return nil, "malformed"
    end
    local headers = {}
    for line in fields:gmatch("(.-)\r\n") do
        local name, value = line:match("^([%w!#$%%&'*+.^_`|~-]+):[ \t]*([^%c]-)[ \t]*$")
        if not name then
            return nil, "malformed"
        end
        name = name:lower()
        headers[name] = headers[name] and headers[name] .. ", " .. value or value
    end
    return tonumber(status), headers
end

-- Over a connection: the status and the headers, or why not.
local function exchange(socket, request, deadline)
    local sent, failure = socket:send(request)
    if not sent then
        return nil, failure
    end
    local head, none = receive_head(socket, deadline)
    if not head then
        return nil, none
    end
    return parse(head)
end

-- One try. Its connection is not kept: what came on it later would be taken for the answer about somebody else.
local function ask_once(address, port, request, deadline)
    local socket = ngx.socket.tcp()
    local given_up = math.min(deadline, ngx.now() + TRY)
    socket:settimeout(math.max(1, (given_up - ngx.now()) * 1000))
    local connected, failure = socket:connect(address, port)
    if not connected then
        return nil, failure
    end
    local status, said = exchange(socket, request, given_up)
    socket:close()
    return status, said
end

-- Only the cookies are sent along. Behind the one address of a Service, another try finds another pod.
local function ask_login()
    local login, deadline = settings.login, ngx.now() + PATIENCE
    local address, unknown = address_of(login.host, deadline)
    if not address then
        return nil, "no address for " .. login.host .. ": " .. unknown
    end
    local cookies = ngx.var.http_cookie
    local request = table.concat {
        "GET ", login.path, " HTTP/1.1\r\nHost: ", ngx.var.host,
        cookies and "\r\nCookie: " .. cookies or "",
        "\r\nX-Forwarded-Proto: ", ngx.var.forwarded_proto,
        "\r\nX-Forwarded-Host: ", ngx.var.host,
        "\r\nX-Forwarded-For: ", ngx.var.remote_addr,
        "\r\nX-Request-ID: ", ngx.var.passed_request_id,
        "\r\nConnection: close\r\n\r\n",
    }
    local tries, status, said = login.tries, nil, nil
    repeat
        status, said = ask_once(address, login.port, request, deadline)
        tries = tries - 1
    until status or tries < 0 or ngx.now() >= deadline
    return status, said
end

-- Whom the login vouches for; or else the status to answer with, and what went wrong.
local function person()
    if settings.person then
        return settings.person
    end
    ngx.ctx.asked = ngx.now()
    local status, said = ask_login()
    if status == 400 then -- cookies that it cannot read are nobody's
        return nil, 401
    elseif status == 401 or status == 403 then
        return nil, status
    elseif status ~= 202 then
        return nil, 503, status and "it answers " .. status or said
    end
    local login = settings.login
    return { email = said[login.email], subject = said[login.subject], name = said[login.name] }
end

local function plausible(email)
    return email and #email <= 254 and email:find("^[%w.!#$%%&'*+/=?^_`{|}~-]+@[%w.-]+$") ~= nil
end

-- What is sent as JSON has to be UTF-8.
local function legible(text)
    return text and text ~= "" and ngx.re.find(text, "", "u") ~= nil
end

local function segment(value)
    local encoded = ngx.encode_base64(cjson.encode(value), true)
    return (encoded:gsub("+", "-"):gsub("/", "_"))
end

-- The form that the backend reads: a token without a signature. Only the gateway can reach it.
local function token(email, name, subject)
    local now = ngx.time()
    local claims = { email = email, name = name, provider = settings.provider, sub = subject, iat = now, exp = now + LIFETIME }
    return segment { alg = "none", typ = "JWT" } .. "." .. segment(claims) .. "."
end

-- How a client is counted: a person by who they are, from wherever they ask; everyone else by the address.
local function as_person(who)
    return "p" .. who.email
end

local function as_address()
    return "a" .. ngx.var.client
end

local function too_many(by)
    local counted = by:sub(1, 1) == "p" and "person" or "address"
    complain("beyond the rate", ", counted by ", counted)
    metrics.count("gateway_limited_total", counted)
    return ngx.exit(ngx.HTTP_TOO_MANY_REQUESTS)
end

local RESULTS = { [401] = "nobody", [403] = "refused", [503] = "failed" }

-- Whom the login vouches for when it is asked; or else the request is refused.
local function ask_about(by)
    local who, refused, failure = person()
    local nameless = who and not plausible(who.email)
    if nameless then
        who, refused = nil, ngx.HTTP_SERVICE_UNAVAILABLE
    end
    metrics.count("gateway_login_asked_total", who and "vouched" or RESULTS[refused])
    if who then
        who.email = who.email:lower()
        remember(who)
        return who
    end
    if refused ~= ngx.HTTP_SERVICE_UNAVAILABLE then
        forget()
    elseif nameless then
        complain("the login vouched for a request without an identity")
    else
        complain("the login failed", ": ", failure)
    end
    return allowed(ngx.ctx.route, by, true) and ngx.exit(refused) or too_many(by)
end

gateway.authorize = guarded(function()
    local route, known = ngx.ctx.route, ngx.ctx.known
    local by = known and as_person(known) or as_address()
    if route.audience == "public" then
        return allowed(route, by, true) or too_many(by)
    end
    local who = settings.person or known and known.fresh and known
    local asked = not who
    if known and not asked then
        metrics.count("gateway_login_remembered_total")
    end
    if asked then
        if not allowed(route, by, false) then -- and the login is not asked
            return too_many(by)
        end
        who = ask_about(by)
    end
    local email = who.email
    ngx.var.identity = email
    -- Where everyone is one person, only the address tells them apart.
    by = settings.person and as_address() or as_person(who)
    if not allowed(route, by, true) then
        if asked then -- with ever other cookies, one person could have it asked as often as they like
            allowed(route, as_address(), true)
        end
        return too_many(by)
    end
    if route.audience == "administrator" and not settings.administrators[email] then
        return ngx.exit(ngx.HTTP_FORBIDDEN)
    end
    if route.hand_over_identity then
        local name = legible(who.name) and who.name or email
        if route.roles then
            ngx.var.upstream_email, ngx.var.upstream_name = email, name
            ngx.var.upstream_role = settings.administrators[email] and route.roles.administrator or route.roles.other
            return
        end
        local subject = legible(who.subject) and who.subject or email
        ngx.var.upstream_authorization = "Bearer " .. token(email, name, subject)
    end
end)

-- Answers of the gateway itself.

local WORDS = {
    [400] = "The request cannot be understood.",
    [401] = "Sign in first.",
    [403] = "This account may not sign in.",
    [404] = "There is nothing here.",
    [405] = "This method is not allowed here.",
    [413] = "The upload is too large.",
    [414] = "The address is too long.",
    [421] = "This host is not served here.",
    [429] = "Too many requests: try again in a moment.",
    [431] = "The headers are too large.",
    [500] = "The gateway failed: try again in a moment.",
    [501] = "This way to send a request is not understood.",
    [502] = "The service does not answer.",
    [503] = "The service is not available: try again in a moment.",
    [504] = "The service took too long to answer.",
    [505] = "This version of the protocol is not spoken here.",
}

-- Why a service gave no answer. nginx tells it in its error log only, beside the query of the request.
local function last(times)
    return (times or ""):match("([^%s,:]+)%s*$")
end

local function silence()
    local status = last(ngx.var.upstream_status)
    if not status or last(ngx.var.upstream_header_time) ~= "-" then
        return
    end
    local received = tonumber(last(ngx.var.upstream_bytes_received)) or 0
    if last(ngx.var.upstream_connect_time) == "-" then
        return status == "504" and "no connection in time" or "no connection"
    elseif status == "504" then
        return "silent for too long"
    elseif received == 0 then
        return "hung up without an answer"
    elseif received >= settings.head then
        return "the head of its answer is longer", " than " .. settings.head .. " bytes"
    end
    return "its answer is not HTTP"
end

local REASONS = {
    [414] = function()
        return "the request's first line is longer", " than " .. settings.head .. " bytes"
    end,
    [431] = function()
        return "a line of the request's head, or all of it, is too long", ": a line may have " .. settings.head .. " bytes"
    end,
    [429] = function()
        metrics.count("gateway_limited_total", "connections")
        return "more requests under way than one client may have"
    end,
    [502] = silence,
    [504] = silence,
}

local function give_reason(status)
    if status == ngx.HTTP_TOO_MANY_REQUESTS then
        ngx.header.retry_after = "1"
    end
    if (ngx.var.problem or "") == "" and REASONS[status] then
        local problem, more = REASONS[status]()
        if problem then
            complain(problem, more)
        end
    end
end

-- An answer that ended before its end, by the service or by the client.
local function is_cut()
    if ngx.var.request_completion == "" then
        return true
    end
    local length, came = tonumber(ngx.var.upstream_http_content_length), tonumber(last(ngx.var.upstream_response_length))
    return length and came and came < length and ngx.var.request_method ~= "HEAD" and ngx.status ~= 304
end

function gateway.log()
    local status, service_asked = ngx.status, ngx.var.upstream_status
    if service_asked and status < 499 and ngx.var.problem == "" and is_cut() then
        complain("the answer was cut short")
    end
    -- A WebSocket lasts for as long as its client likes.
    local seconds = service_asked and status ~= ngx.HTTP_SWITCHING_PROTOCOLS and ngx.now() - ngx.req.start_time()
    metrics.count_request(ngx.var.route, status, seconds)
end

function gateway.metrics()
    ngx.header.content_type = "text/plain; version=0.0.4; charset=utf-8"
    ngx.print(metrics.text())
end

function gateway.explain()
    local status = ngx.status
    give_reason(status)
    local words = WORDS[status] or "Something went wrong."
    if status == ngx.HTTP_FORBIDDEN and ngx.var.problem == OUTSIDE then
        words = "This comes from another site."
    elseif status == ngx.HTTP_FORBIDDEN and ngx.var.identity ~= "" then -- the login knows them, and the route is not theirs
        words = "This is for administrators."
    end
    if ngx.var.programs == "1" then
        ngx.header.content_type = "application/json"
        ngx.say(cjson.encode { error = words, status = status, request_id = ngx.var.passed_request_id })
    else
        ngx.header.content_type = "text/plain; charset=utf-8"
        ngx.say(words)
    end
end

-- Where one signs in and comes back to a page: without its query, or to the first page, where the address would be too
-- long for some link on the way. It is escaped once more for the provider, and comes back so.
local WAY_BACK = 1024

local function start_for(page)
    local back = ngx.escape_uri(page)
    if #back > WAY_BACK then
        back = ngx.escape_uri(page:match("^[^?]*"))
    end
    return settings.sign_in .. "?rd=" .. (#back > WAY_BACK and "%2F" or back)
end

-- The way back from signing in ended in an error: begun too long ago, twice, or elsewhere. Here it is begun anew, and ends
-- where the person wanted to go.
local AGAIN = [[
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Sign in again</title>
<h1>You are not signed in</h1>
<p>%s</p>
<p><a href="%s">Try again</a></p>
</html>
]]
local NOT_SIGNED_IN = "Signing in was begun too long ago, twice, or in another browser, or this account may not sign in here."

function gateway.again()
    local status = ngx.status
    give_reason(status)
    local words = (status == 429 or status > 500) and WORDS[status] or NOT_SIGNED_IN
    local state = ngx.unescape_uri(ngx.var.request_uri:match("[?&]state=([^&]*)") or "")
    -- As oauth2-proxy writes it: a number that nobody can guess, and the page, escaped.
    local page = ngx.unescape_uri(state:match("^[^:]*:(.*)$") or "")
    if not page:find("^/") or page:find("^/[/\\]") or page:find("%c") then
        page = "/"
    end
    ngx.header.content_type = "text/html; charset=utf-8"
    ngx.header.cache_control = "no-store"
    ngx.print(AGAIN:format(words, start_for(page)))
end

-- Programs are told; people are sent to sign in and come back.
function gateway.sign_in()
    if ngx.var.programs == "1" then
        ngx.status = ngx.HTTP_UNAUTHORIZED
        return gateway.explain()
    end
    return ngx.redirect(start_for(ngx.var.request_uri))
end

return gateway
