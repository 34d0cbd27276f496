-- This module is what the gateway decides while it serves: whose request it is, what of it is passed on, and where to.
-- nginx.conf calls it. Everything that it is told is in gateway.json, which is made of the typed routes and the login.
local balancer = require "ngx.balancer"
local cjson = require "cjson.safe"

local gateway = {}
local settings
local nameservers = {}
local addresses = {} -- by host: address and when it was learned, in each worker

local FRESH = 5 -- seconds for which an address is used without asking again
local STALE = 300 -- seconds for which the last address is used while the DNS does not answer
local LIFETIME = 300 -- seconds for which the token is valid that the service is handed
local TRY = 1.5 -- seconds for the head of one pod's answer, so that there is time to ask another
local PATIENCE = 5 -- seconds for the login's answer, the DNS and every try included, however it trickles
local LONGEST = 16384 -- bytes of the login's answer

local function set(list)
    local found = {}
    for _, value in ipairs(list) do
        found[value] = true
    end
    return found
end

-- Called once, with the file of settings: the routes by their paths, who administrates, how the login's own cookies
-- begin, and what it is asked, or else the one person that everyone is.
function gateway.configure(path)
    local file = assert(io.open(path))
    settings = assert(cjson.decode(file:read("*a")))
    file:close()
    settings.administrators = set(settings.administrators)
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

-- Told in the access log: the error log would add the query of the request, and secrets are in it.
local function complain(...)
    ngx.var.problem = table.concat({ ... })
end

-- Where a request goes. The upstream block of nginx.conf calls `balance` for each connection, and again when it fails
-- while there are tries: behind the one address of a Service is then another pod.
local function find(route)
    local address, failure = address_of(route.host, ngx.now() + PATIENCE)
    if not address then
        complain("no address for ", route.host, ": ", failure)
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
        complain("cannot reach ", address, ": ", failure)
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

-- The start of every route: refuse what can be read in two ways, forget what the client says it is, find the service.
function gateway.pass()
    local route = settings.routes[ngx.var.route]
    ngx.ctx.route = route
    ngx.var.content_security_policy = route.content_security_policy
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
end

-- Whose request it is: the login is asked. Not by nginx's `auth_request`: it waits for as long as a byte comes now and
-- then. Here the whole answer has one deadline, and what is no plain answer lets nobody in.

-- The head of an answer, or why there is none.
local function receive_head(socket, deadline)
    local text = ""
    while true do
        local left = deadline - ngx.now()
        if left <= 0 or #text >= LONGEST then
            return nil, left <= 0 and "timeout" or "too long"
        end
        socket:settimeout(math.max(1, left * 1000))
        local data, failure = socket:receiveany(LONGEST - #text)
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
    local status, said = ask_login()
    if status == 400 then -- cookies that it cannot read are nobody's
        return nil, 401
    elseif status == 401 or status == 403 then
        return nil, status
    elseif status ~= 202 then
        return nil, 503, "the login answers " .. (status or said)
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

function gateway.authorize()
    local route = ngx.ctx.route
    if route.audience == "public" then
        return
    end
    local who, refused, problem = person()
    if not who then
        complain(problem or "")
        return ngx.exit(refused)
    end
    if not plausible(who.email) then
        complain("the login vouched for a request without an identity")
        return ngx.exit(ngx.HTTP_SERVICE_UNAVAILABLE)
    end
    local email = who.email:lower()
    ngx.var.identity = email
    if route.audience == "administrator" and not settings.administrators[email] then
        return ngx.exit(ngx.HTTP_FORBIDDEN)
    end
    if route.hand_over_identity then
        local name = legible(who.name) and who.name or email
        local subject = legible(who.subject) and who.subject or email
        ngx.var.upstream_authorization = "Bearer " .. token(email, name, subject)
    end
end

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

function gateway.explain()
    local status = ngx.status
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

-- Programs are told; people are sent to sign in and come back.
function gateway.sign_in()
    if ngx.var.programs == "1" then
        ngx.status = ngx.HTTP_UNAUTHORIZED
        return gateway.explain()
    end
    return ngx.redirect(settings.sign_in .. "?rd=" .. ngx.escape_uri(ngx.var.request_uri))
end

return gateway
