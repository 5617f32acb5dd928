import pytest

from bijlighar.runtime.settings import SETTINGS, BrokenSettings, load_settings, write_settings


class TestLoadSettings:
    def test_gives_the_default_of_what_nobody_has_set(self):
        settings = load_settings(text="", environment={})
        assert {setting.name: setting.default for setting in SETTINGS} == dict(settings.values)
        assert (settings.whole("web.port"), settings.flag("demo"), settings.number("worker.poll_s")) == (
            8080,
            False,
            0.02,
        )

    def test_reads_dotted_names_and_tables_alike(self):
        for text in ('siren.topic = "a/b"', '[siren]\ntopic = "a/b"'):
            assert load_settings(text=text, environment={}).text("siren.topic") == "a/b"

    def test_lets_the_environment_win(self):
        environment = {"BIJLIGHAR_WEB_PORT": "9001", "BIJLIGHAR_DEMO": "True", "BIJLIGHAR_WORKER_POLL_S": "2"}
        settings = load_settings(text="web.port = 9000\ndemo = false", environment=environment)
        assert (settings.whole("web.port"), settings.flag("demo"), settings.number("worker.poll_s")) == (
            9001,
            True,
            2.0,
        )

    def test_leaves_other_variables_alone(self):
        load_settings(text="", environment={"BIJLIGHAR_HOME": "/x", "BIJLIGHAR_PEERS": "y", "WEB_PORT": "z"})

    def test_takes_a_whole_number_for_a_number_but_no_truth(self):
        assert load_settings(text="worker.poll_s = 1", environment={}).number("worker.poll_s") == 1.0
        with pytest.raises(BrokenSettings, match="must be a number"):
            load_settings(text="worker.poll_s = true", environment={})

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("a = = b", "not valid TOML"),
            ("zzz = 1", "'zzz', which is no setting"),
            ("[web]\nprot = 1", "'web.prot', which is no setting"),
            ("web = 1", "'web', which is no setting"),
            ('web.port = "8080"', "web.port in settings.toml must be a whole number, not '8080'"),
            ("web.port = 80.5", "must be a whole number"),
            ("web.port = true", "must be a whole number"),
            ("web.host = 5", "must be text"),
            ("demo = 1", "must be true or false"),
            ("web.host = [1]", "must be text"),
        ],
    )
    def test_refuses_what_is_wrong_and_names_it(self, text: str, message: str):
        with pytest.raises(BrokenSettings, match=message.replace("(", r"\(")):
            load_settings(text=text, environment={})

    @pytest.mark.parametrize(
        ("variable", "value", "message"),
        [
            ("BIJLIGHAR_WEB_PORT", "many", r"\$BIJLIGHAR_WEB_PORT must be a whole number, not 'many'"),
            ("BIJLIGHAR_WEB_PORT", "", "whole number"),
            ("BIJLIGHAR_DEMO", "perhaps", "true or false"),
            ("BIJLIGHAR_WORKER_POLL_S", "x", "a number"),
        ],
    )
    def test_refuses_a_variable_that_is_wrong(self, variable: str, value: str, message: str):
        with pytest.raises(BrokenSettings, match=message):
            load_settings(text="", environment={variable: value})


class TestWriteSettings:
    def test_is_read_back_as_it_was(self):
        values = {"company.name_hi": 'एक "कंपनी" \\', "web.port": 9, "demo": True, "worker.poll_s": 0.25}
        read = load_settings(text=write_settings(values), environment={})
        assert {name: read.values[name] for name in values} == values


class TestSettings:
    def test_have_unique_names_a_meaning_and_their_own_variable(self):
        names = [setting.name for setting in SETTINGS]
        variables = {name.replace(".", "_").upper() for name in names}
        assert len(names) == len(set(names)) == len(variables)
        assert all(setting.meaning.endswith(".") for setting in SETTINGS)
        assert not variables & {"HOME", "PEERS"}
